"""Tables with predictions beside their texts, as Ray, pandas and Spark hand them out."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from focus_plugin.errors import FocusError

Columns = Callable[[Iterable[str]], dict[str, np.ndarray]]


def with_columns(table: Any, column: str, predict: Columns) -> Any:
    """``table`` and the columns that ``predict`` makes of the texts in ``column``; the table itself stays as it is.

    ``table`` is a dictionary of arrays or lists, a pandas DataFrame, where a row of a two-dimensional array is one
    value, or an iterable of either, of which an iterator is returned. Raises FocusError if it is anything else, if
    ``column`` is absent or there twice, or if a column of a prediction's name is there already.
    """
    if isinstance(table, Iterable) and not _is_table(table) and not isinstance(table, str | bytes):
        return (_one_with_columns(part, column, predict) for part in table)
    return _one_with_columns(table, column, predict)


def _is_table(table: Any) -> bool:
    return isinstance(table, Mapping) or hasattr(table, "assign")


def _one_with_columns(table: Any, column: str, predict: Columns) -> Any:
    if not _is_table(table):
        kind = f"{type(table).__module__}.{type(table).__qualname__}"
        raise FocusError(f"A dictionary of arrays or a pandas DataFrame was expected, and a {kind} was given.")
    names = list(table)
    if names.count(column) != 1:
        fault = "two columns" if column in names else "no column"
        raise FocusError(f"The table has {fault} {column!r}; it has {', '.join(map(repr, names))}.")
    texts = table[column]
    found = predict(texts)
    if taken := [name for name in found if name in names]:
        raise FocusError(f"The table already has a column {taken[0]!r}; rename it, for it would be lost.")
    if isinstance(table, Mapping):
        return {**table, **found}
    series = type(texts)
    return table.assign(**{name: series(list(rows), table.index, object) for name, rows in found.items()})
