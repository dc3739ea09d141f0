"""Cosines between vectors: rows of norm 1, and the few cosines of each row that matter, without computing all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix
from torch import Tensor

from focus_plugin.mixing.largest import GROUP
from focus_plugin.mixing.mixing import sparse_weights

SMALLEST, LARGEST = 1e-15, 1e15  # absolute values between these can be squared and summed in float32
FEWEST = 1024  # anchors; with fewer, estimating cosines saves no time
SHARE = 1 / 64  # if more than this share of the cosines matters, computing all is faster
ROUNDING = 2.0**-8  # the largest relative error of rounding to bfloat16

Floor = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class VectorsOf:
    """The vectors of some tokens. ids: shape (n,), ascending, rows of ``vectors``, (tokens, dimension), not zero."""

    vectors: np.ndarray
    ids: np.ndarray


@dataclass(frozen=True)
class RoundedAnchors:
    """The anchors' unit vectors in bfloat16, and what the exact cosines of a few of them are computed from.

    unit: shape (m, dimension), bfloat16. error: the largest norm of what rounding changed in a row of it. vectors:
    (tokens, dimension), float32. ids, norms: (m,), the rows of ``vectors`` that are the anchors, and their norms.
    """

    unit: Tensor
    error: float
    vectors: Tensor
    ids: Tensor
    norms: Tensor


def unit_rows(vectors: np.ndarray, device: str) -> Tensor:
    """The rows of ``vectors``, (n, dimension), divided by their norms, on ``device``; float32. Rows of zeros remain."""
    rows = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(device)
    largest = torch.linalg.vector_norm(rows, torch.inf, dim=1)
    odd = torch.nonzero((largest > 0) & ((largest <= SMALLEST) | (largest >= LARGEST)))[:, 0]
    rows[odd] /= largest[odd, None]  # their squares would be 0 or infinite
    return torch.nn.functional.normalize(rows, dim=1, out=rows)


def rounded_anchors(anchors: VectorsOf) -> RoundedAnchors | None:
    """The anchors for ``largest_cosines``, or None if that would not be faster than computing all cosines: on a CPU
    without instructions for bfloat16, and with few anchors; also if squares of the vectors are beyond float32."""
    if len(anchors.ids) < FEWEST or not torch.cpu._is_avx512_bf16_supported():
        return None
    vectors, ids = torch.from_numpy(anchors.vectors.astype(np.float32, copy=False)), torch.from_numpy(anchors.ids)
    norms = torch.linalg.vector_norm(vectors, dim=1)[ids]
    if not SMALLEST < norms.min() <= norms.max() < LARGEST:
        return None
    unit, errors = torch.empty(len(ids), vectors.shape[1], dtype=torch.bfloat16), []
    for start in range(0, len(ids), FEWEST):
        exact = unit_rows(anchors.vectors[anchors.ids[start : start + FEWEST]], "cpu")
        unit[start : start + FEWEST] = exact
        errors.append(_changes(exact, unit[start : start + FEWEST]).max())
    return RoundedAnchors(unit, float(max(errors)), vectors, ids, norms)


def _changes(exact: Tensor, rounded: Tensor) -> Tensor:
    """The norms of what rounding changed; shape (n,)."""
    norms: Tensor = torch.linalg.vector_norm(exact - rounded.float(), dim=1)
    return norms


def largest_cosines(rows: Tensor, anchors: RoundedAnchors, floor: Floor) -> Tensor | None:
    """All cosines with anchors that reach the ``floor`` of their row, and a few below it.

    ``rows``: shape (n, dimension), float32, of norm 1. ``floor``: a function from some of the cosines of each row, (n,
    any number), to lower bounds of the floors, (n,). More or larger cosines must not make a floor lower; if all
    change by a constant, it must change by as much. Returns sparse CSR, (n, m), or None if many cosines reach it.

    With rounded vectors a' and b', an estimate is off by at most |a - a'| |b| + |a'| |b - b'| and the rounding of its
    sum. The largest estimate of every GROUP less this error gives a lower bound of the floor. The cosines of
    estimates that reach this bound less the error are computed in float32.
    """
    rounded, count = rows.bfloat16(), len(anchors.unit)
    error = 1.01 * (_changes(rows, rounded) + anchors.error + rows.shape[1] * torch.finfo(torch.float32).eps)
    estimates = anchors.unit @ rounded.T  # in this order, the larger matrix is not copied
    order = estimates.view(torch.int16)  # positive numbers have the same order as these, which are compared faster
    groups = count // GROUP
    peaks = order[: groups * GROUP].view(groups, GROUP, -1).amax(1).view(torch.bfloat16).float().T
    bound = floor(peaks - peaks.abs() * ROUNDING - error[:, None]) - error
    if not (bound > 0).all():
        return None
    found = order.numpy() >= bound.bfloat16().view(torch.int16).numpy()  # both sides were rounded in the same way
    if np.count_nonzero(found) > SHARE * found.size:
        return None
    anchor, row = (torch.from_numpy(part) for part in np.divmod(found.ravel().nonzero()[0], len(rows)))
    return _exact(rows, anchors, anchor, row)


def _exact(rows: Tensor, anchors: RoundedAnchors, anchor: Tensor, row: Tensor) -> Tensor:
    """The cosines of pairs, which are ordered by ``anchor`` and then by ``row``; sparse CSR, (n, m)."""
    counts = torch.bincount(anchors.ids[anchor], minlength=len(anchors.vectors))
    pairs = sparse_weights(torch.nn.functional.pad(counts.cumsum(0), (1, 0)), row, torch.zeros(len(row)), len(rows))
    products = torch.sparse.sampled_addmm(pairs, anchors.vectors, rows.T).values()
    cosines = (products / anchors.norms[anchor]).numpy()
    matrix = coo_matrix((cosines, (row.numpy(), anchor.numpy())), (len(rows), len(anchors.ids))).tocsr()
    offsets, columns, values = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return sparse_weights(offsets.long(), columns.long(), values, len(anchors.ids))
