"""Sparsemax of many long rows (Martins & Astudillo, ICML 2016), exact for supports of any size."""

from collections.abc import Callable

import torch
from torch import Tensor

from focus_plugin.mixing.largest import GROUP
from focus_plugin.mixing.mixing import row_values, sparse_weights

DENSE = 1 / 8  # if more than this share of the elements are candidates, whole rows are computed
MARGIN = 1e-6  # larger than the rounding error of a float32 threshold between -1 and 1


def sparsemax(scores: Tensor) -> Tensor:
    """Sparsemax of every row: the projections of the rows onto the probability simplex.

    ``scores``: shape (n, m), floating and finite, n and m at least 1; or, sparse CSR, those that can have a weight, at
    least one in each row. Returns the same shape, on the same device: sparse CSR if few elements are above the
    thresholds, strided otherwise; rows sum to 1.

    The threshold computed from some elements of a row is a lower bound of the threshold of the whole row. The bound
    from the largest element of every GROUP leaves few candidates; the exact threshold is then computed from these. No
    row is sorted.
    """
    if scores.layout == torch.sparse_csr:
        return of_candidates(scores, lambda rows: _weights(rows, rows.new_full((len(rows),), -1.0)), -2.0)
    scores, peaks = shifted(scores)
    bound = threshold(peaks, peaks.new_full((len(peaks),), -1.0)) - MARGIN
    return above(scores, bound, lambda rows: _weights(rows, bound), -2.0)


def shifted(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of ``scores`` less their maxima, so that they are close to zero, where float32 is most precise, and the
    largest element of every GROUP of them."""
    scores = scores - scores.amax(1, keepdim=True)
    return scores, torch.nn.functional.max_pool1d(scores[:, None], GROUP, ceil_mode=True)[:, 0]


def above(scores: Tensor, bound: Tensor, weigh: Callable[[Tensor], Tensor], low: float) -> Tensor:
    """The weights of rows in which only elements above ``bound``, shape (n,), can have one; at least one in each row.

    ``scores``: shape (n, m), less their maxima. ``weigh``, ``low``: see ``of_candidates``. Returns (n, m), sparse CSR,
    or strided if there are many candidates.
    """
    candidate = scores > bound[:, None]
    if torch.count_nonzero(candidate) > DENSE * scores.numel():
        return weigh(scores)
    rows, columns = _positions(candidate)
    offsets = torch.nn.functional.pad(torch.bincount(rows, minlength=len(scores)).cumsum(0), (1, 0))
    return of_candidates(sparse_weights(offsets, columns, scores[rows, columns], scores.shape[1]), weigh, low)


def of_candidates(candidates: Tensor, weigh: Callable[[Tensor], Tensor], low: float) -> Tensor:
    """The weights of rows of which only the elements of ``candidates``, sparse CSR, (n, m), can have one.

    ``weigh``: a function from rows of scores less their maxima, (n, any number), to their weights. ``low``: such a
    score that has no weight. Returns (n, m), sparse CSR.
    """
    scores, held = row_values(candidates)
    weights = weigh((scores - scores.amax(1, keepdim=True)).clamp_(min=low))
    support = held & (weights > 0)
    offsets = torch.nn.functional.pad(torch.count_nonzero(support, 1).cumsum(0), (1, 0))
    return sparse_weights(offsets, candidates.col_indices()[support[held]], weights[support], candidates.shape[1])


def threshold(scores: Tensor, bound: Tensor) -> Tensor:
    """The tau of every row for which the sum of max(score - tau, 0) is 1; shape (n,).

    ``bound``, shape (n,): a lower bound of tau. The sum is convex and decreases with tau, so Newton's method approaches
    tau from below. It ends when rounding prevents a further increase.
    """
    while True:
        excess = (scores - bound[:, None]).clamp_(min=0)
        better = bound + (excess.sum(1) - 1) / torch.count_nonzero(excess, 1)
        if not (better > bound).any():
            return bound
        bound = torch.maximum(bound, better)


def _weights(scores: Tensor, bound: Tensor) -> Tensor:
    """What exceeds the thresholds, so that each row sums to 1. The rounding error of a row's sum is divided equally
    among its support, because scaling would distort rows in which thousands of scores are just above the threshold."""
    weights = (scores - threshold(scores, bound)[:, None]).clamp_(min=0)
    support = weights > 0
    missing = (1 - weights.sum(1, keepdim=True)) / torch.count_nonzero(support, 1)[:, None]
    return weights.addcmul_(support, missing).clamp_(min=0)


def _positions(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the true elements, in order. On a CPU numpy finds them several times faster than torch."""
    on_cpu = mask.device.type == "cpu"
    flat = torch.from_numpy(mask.numpy().ravel().nonzero()[0]) if on_cpu else mask.view(-1).nonzero()[:, 0]
    rows = torch.div(flat, mask.shape[1], rounding_mode="floor")
    return rows, flat - rows * mask.shape[1]
