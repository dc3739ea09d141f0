"""Alpha-entmax of many long rows (Peters, Niculae & Martins, ACL 2019): from softmax to sparsemax."""

from functools import partial

import torch
from torch import Tensor

from focus_plugin.mixing.sparsemax import MARGIN, above, of_candidates, shifted, sparsemax, threshold


def entmax_weights(scores: Tensor, alpha: float) -> Tensor:
    """Alpha-entmax of every row: softmax if ``alpha`` is 1, sparsemax if it is 2, and otherwise by the package entmax.

    ``scores``: shape (n, m), floating and finite, n and m at least 1; or, sparse CSR, those that can have a weight, at
    least one in each row, if ``alpha`` is not 1. ``alpha``: from 1 to 2; the smaller, the more elements of a row have
    weights. Returns the same shape, sparse CSR or strided; rows sum to 1.

    The weight of a score s is max((alpha - 1) s - t, 0) ** (1 / (alpha - 1)), where t is such that a row sums to 1. As
    in ``sparsemax``, the t of some elements is a lower bound of that of the whole row. The bound from the largest
    element of every GROUP leaves fewer candidates, and only these are given to the package, which sorts or bisects.
    """
    if alpha == 2:
        return sparsemax(scores)
    if alpha == 1:
        return torch.softmax(scores, 1)
    weigh, low = partial(_by_package, alpha=alpha), -2 / (alpha - 1)
    if scores.layout == torch.sparse_csr:
        return of_candidates(scores, weigh, low)
    scores, peaks = shifted(scores)
    return above(scores, entmax_floor(peaks, alpha), weigh, low)


def entmax_floor(scores: Tensor, alpha: float) -> Tensor:
    """For each row a score, shape (n,), below which none has a weight if ``scores`` are some of the row's scores.

    ``scores``: shape (n, any number). ``alpha``: above 1 and at most 2.
    """
    most = scores.amax(1)
    if alpha == 2:
        return threshold(scores, most - 1) - MARGIN
    return most - (_by_package(scores, alpha).amax(1) ** (alpha - 1) + MARGIN) / (alpha - 1)


def _by_package(scores: Tensor, alpha: float) -> Tensor:
    import entmax

    weights: Tensor = entmax.entmax15(scores, 1) if alpha == 1.5 else entmax.entmax_bisect(scores, alpha, 1)
    return weights
