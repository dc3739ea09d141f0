"""Tables with predictions beside their texts, as Ray, pandas and Spark hand them out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from focus_plugin.errors import FocusError

Columns = Callable[[Sequence[str]], dict[str, np.ndarray]]


def with_columns(table: Any, column: str, predict: Columns) -> Any:
    """``table`` and the columns that ``predict`` makes of the texts in ``column``; the table itself stays as it is.

    ``table`` is a dictionary of arrays, a pandas DataFrame, where a row of a two-dimensional array is one value, or an
    iterable of either, of which an iterator is returned. Raises FocusError if ``column`` is absent, or a column of a
    prediction's name is there already.
    """
    if not isinstance(table, Mapping) and not hasattr(table, "assign"):
        return (with_columns(part, column, predict) for part in table)
    if column not in table:
        raise FocusError(f"The table has no column {column!r}; it has {', '.join(map(repr, table))}.")
    found = predict(table[column].tolist())
    if taken := [name for name in found if name in table]:
        raise FocusError(f"The table already has a column {taken[0]!r}; rename it, for it would be lost.")
    if isinstance(table, Mapping):
        return {**table, **found}
    return table.assign(**{name: list(values) for name, values in found.items()})
