"""Which texts go through the model together, and how they stand in one array."""

from collections.abc import Sequence

import numpy as np

# What a batch costs beyond its tokens, as a share of the budget: with XLM-R base on a CPU, whose budget is 512, 6 to 20
# tokens were measured. A GPU, which is given more, gets through more tokens in the time that it takes to start a batch.
COSTS_PER_BUDGET = 32


def batches_by_length(lengths: Sequence[int], token_budget: int) -> list[np.ndarray]:
    """The indices of ``lengths`` in batches of similar length, longest first.

    A batch's rows times its longest length stay within ``token_budget``; a single longer text is a batch of its own.
    Of all ways to cut the sorted lengths it is the one that costs least: the sum of what the batches hold, padding
    included, and of a ``COSTS_PER_BUDGET``-th of the budget for each.
    """
    sizes = np.asarray(lengths, np.int64)
    order = np.argsort(-sizes, kind="stable")
    sizes = sizes[order]
    least = np.full(len(sizes) + 1, np.iinfo(np.int64).max)  # cost of the texts before each
    least[0] = 0
    starts = np.zeros(len(sizes) + 1, np.int64)  # of the last batch before each
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
    """The rows as one int32 array (rows, longest length), padded on the right, and their int32 lengths (rows,)."""
    lengths = np.array([len(row) for row in rows], np.int32)
    ids = np.full((len(rows), int(np.max(lengths))), pad, np.int32)
    for row, into in zip(rows, ids, strict=True):
        into[: len(row)] = row
    return ids, lengths
