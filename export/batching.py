"""Which texts go through the model together, and how they stand in one array."""

from collections.abc import Iterator, Sequence

import numpy as np


def batches_by_length(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Yield the indices of ``lengths`` in batches of similar length, longest first.

    A batch's rows times its longest length stay within ``token_budget``; a single longer text is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        rows = max(1, token_budget // lengths[order[start]])
        yield order[start : start + rows]
        start += rows


def padded(rows: Sequence[np.ndarray], pad: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows as one int32 array (rows, longest length), padded on the right, and their int32 lengths (rows,)."""
    lengths = np.array([len(row) for row in rows], np.int32)
    ids = np.full((len(rows), int(np.max(lengths))), pad, np.int32)
    for row, into in zip(rows, ids, strict=True):
        into[: len(row)] = row
    return ids, lengths
