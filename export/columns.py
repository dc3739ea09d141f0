"""Adds columns of predictions to the tables of Ray, pandas and Spark."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from focus_plugin.errors import FocusError

ComputeColumns = Callable[[Iterable[Any]], dict[str, np.ndarray]]


def with_columns(table: Any, columns: Sequence[str], predict: ComputeColumns) -> Any:
    """A copy of ``table`` with additional columns, which ``predict`` computes from its samples.

    A sample is the text in the column ``columns``, or a tuple of the texts if there are several columns.

    ``table`` is a dictionary of arrays or lists, a pandas DataFrame, or an iterable of either; for an iterable, an
    iterator is returned. In a DataFrame, each row of a two-dimensional array becomes one value. Raises FocusError if
    ``table`` is anything else, if one of ``columns`` is missing or occurs twice, or if the table already has a column
    with the name of a new one.
    """
    if isinstance(table, Iterable) and not is_table(table) and not isinstance(table, str | bytes):
        return (_one_with_columns(part, columns, predict) for part in table)
    return _one_with_columns(table, columns, predict)


def is_table(table: Any) -> bool:
    """Whether an object is a dictionary or a DataFrame."""
    return isinstance(table, Mapping) or hasattr(table, "assign")


def _one_with_columns(table: Any, columns: Sequence[str], predict: ComputeColumns) -> Any:
    if not is_table(table):
        kind = f"{type(table).__module__}.{type(table).__qualname__}"
        raise FocusError(f"Expected a dictionary of arrays or a pandas DataFrame, but a {kind} was given.")
    names = list(table)
    for column in columns:
        if names.count(column) != 1:
            fault = "two columns" if column in names else "no column"
            raise FocusError(f"The table has {fault} {column!r}; it has {', '.join(map(repr, names))}.")
    texts = table[columns[0]]
    found = predict(texts if len(columns) == 1 else zip(*(table[column] for column in columns), strict=True))
    if taken := [name for name in found if name in names]:
        raise FocusError(f"The table already has a column {taken[0]!r}; rename it, because it would be overwritten.")
    if isinstance(table, Mapping):
        return {**table, **found}
    series = type(texts)
    return table.assign(**{name: series(list(rows), table.index, object) for name, rows in found.items()})
