"""Sparsemax of many long rows (Martins & Astudillo, ICML 2016), exact for supports of any size."""

from collections.abc import Callable

import torch
from torch import Tensor

from focus_plugin.mixing.largest import GROUP
from focus_plugin.mixing.mixing import sparse_weights

DENSE = 1 / 8  # if more than this share of the elements are candidates, whole rows are computed
MARGIN = 1e-6  # larger than the rounding error of a float32 threshold between -1 and 1


def sparsemax(scores: Tensor) -> Tensor:
    """Sparsemax of every row: the projections of the rows onto the probability simplex.

    ``scores``: shape (n, m), floating and finite, n and m at least 1. Returns the same shape, on the same device:
    sparse CSR if few elements are above the thresholds, strided otherwise; rows sum to 1.

    The threshold computed from some elements of a row is a lower bound of the threshold of the whole row. The bound
    from the largest element of every GROUP leaves few candidates; the exact threshold is then computed from these. No
    row is sorted.
    """
    scores = scores - scores.amax(1, keepdim=True)  # close to zero, where float32 is most precise
    peaks = torch.nn.functional.max_pool1d(scores[:, None], GROUP, ceil_mode=True)[:, 0]
    bound = threshold(peaks, scores.new_full((len(scores),), -1.0)) - MARGIN
    return of_candidates(scores, scores > bound[:, None], lambda rows: _weights(rows, bound), -2.0)


def of_candidates(scores: Tensor, candidate: Tensor, weigh: Callable[[Tensor], Tensor], low: float) -> Tensor:
    """The weights of rows of which only some elements can have one.

    ``scores``: shape (n, m). ``candidate``: (n, m), bool, at least one in each row. ``weigh``: a function from rows of
    scores, (n, any number), to their weights. ``low``: a score too low to have a weight. Returns (n, m), sparse CSR, or
    strided if there are many candidates.
    """
    if torch.count_nonzero(candidate) > DENSE * scores.numel():
        return weigh(scores)
    rows, columns = _positions(candidate)
    counts = torch.bincount(rows, minlength=len(scores))
    offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    places = torch.arange(len(rows), device=rows.device) - offsets[rows]
    compact = scores.new_full((len(scores), int(counts.max())), low)
    compact[rows, places] = scores[rows, columns]
    weights = weigh(compact)
    support = weights[rows, places] > 0
    counts = torch.bincount(rows[support], minlength=len(scores))
    offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    return sparse_weights(offsets, columns[support], weights[rows, places][support], scores.shape[1])


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
