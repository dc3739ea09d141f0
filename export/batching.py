"""Divides texts into batches of similar length, and pads the texts of a batch."""

from collections.abc import Sequence

import numpy as np

# The constant cost of a batch is 1/COSTS_PER_BUDGET of the token budget. With XLM-R base on a CPU, where the budget is
# 512, it was measured as the cost of 6 to 20 tokens. On a GPU, both the budget and the constant cost are larger.
COSTS_PER_BUDGET = 32


def batches_by_length(lengths: Sequence[int], token_budget: int) -> list[np.ndarray]:
    """The indices of ``lengths`` in batches of similar length, longest first.

    The number of rows of a batch times its longest length is at most ``token_budget``; a longer text is a batch of its
    own. Of all ways to cut the sorted lengths into batches, this is the one with the lowest total cost. The cost of a
    batch is its number of tokens, padding included, plus ``token_budget / COSTS_PER_BUDGET``.
    """
    sizes = np.asarray(lengths, np.int64)
    order = np.argsort(-sizes, kind="stable")
    sizes = sizes[order]
    least = np.full(len(sizes) + 1, np.iinfo(np.int64).max)  # lowest cost of the texts before each text
    least[0] = 0
    starts = np.zeros(len(sizes) + 1, np.int64)  # where the last batch before each text begins
    fixed = token_budget // COSTS_PER_BUDGET
    counts = np.arange(1, len(sizes) + 1)
    for first, longest in enumerate(sizes.tolist()):
        rows = min(max(1, token_budget // longest), len(sizes) - first)
        costs = least[first] + fixed + longest * counts[:rows]
        ends = slice(first + 1, first + 1 + rows)
        better = costs < least[ends]
        least[ends][better] = costs[better]
        starts[ends][better] = first
    batches = []
    end = len(sizes)
    while end:
        batches.append(order[starts[end] : end])
        end = int(starts[end])
    return batches[::-1]


def padded(rows: Sequence[np.ndarray], pad: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows as one int32 array (rows, longest length), padded on the right with ``pad``; int32 lengths (rows,)."""
    lengths = np.array([len(row) for row in rows], np.int32)
    ids = np.full((len(rows), int(np.max(lengths))), pad, np.int32)
    for row, into in zip(rows, ids, strict=True):
        into[: len(row)] = row
    return ids, lengths
