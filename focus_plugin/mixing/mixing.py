"""The result of a method that mixes: the weights of the source rows in each target row."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from focus_plugin.mixing.largest import largest_of_rows

warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")

BLOCK_ROWS = 4096  # rows in one block of a matrix that is given as a whole
SUM_TOLERANCE = 1e-4  # of the sum of the weights of a convex mixture


def _none() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Block:
    """Some rows of the mixing matrix.

    rows: target ids, shape (n,). weights: (n, anchors), float32, sparse CSR or strided, on any device. similarity:
    (n,), float32, the cosine of each row to its most similar anchor, None if the method compares no vectors.
    """

    rows: np.ndarray
    weights: Tensor
    similarity: Tensor | None = None


@dataclass(frozen=True)
class Factors:
    """The source's input embedding, or an approximation of it, as a product.

    rows: (source, factors). projection: (length of the source's rows, factors); a row of the source's embedding is one
    of these rows times its transpose. Both float32, on the CPU.
    """

    rows: Tensor
    projection: Tensor


@dataclass(frozen=True)
class Mixing:
    """A mixing matrix, in parts.

    copied: shape (target,), the source id whose row is copied for a target token, or -1. anchors: the source ids of the
    columns of the blocks' weights, all different. blocks: the mixed rows, by ascending target id; they can be computed
    one after the other, so that they are never in memory together. A target token that is neither copied nor in a block
    is filled. convex: whether no weight is negative and each row sums to 1. If not, the bias of the masked-LM head is
    mixed by the absolute weights, scaled to sum to 1, because it is a log-probability and not a vector. factors: if
    given, the target has a factorized embedding, whose rows are copied, mixed and filled from these.
    """

    copied: np.ndarray
    anchors: np.ndarray = field(default_factory=_none)
    blocks: Iterable[Block] = ()
    convex: bool = True
    factors: Factors | None = None


def mixing_of(
    copied: np.ndarray, weights: csr_matrix, similarity: np.ndarray | None = None, *, convex: bool = True
) -> Mixing:
    """The mixing of a whole matrix of weights, shape (target, source), float32. Empty rows are not mixtures.

    ``copied``, ``convex``: see ``Mixing``. ``similarity``: (target,), see ``Block``.
    """
    anchors, columns = np.unique(weights.indices, return_inverse=True)
    compact = csr_matrix((weights.data, columns, weights.indptr), (weights.shape[0], len(anchors)))
    return Mixing(copied, anchors.astype(np.int64), _blocks(compact, similarity), convex)


def _blocks(matrix: csr_matrix, similarity: np.ndarray | None) -> Iterator[Block]:
    mixed = np.flatnonzero(np.diff(matrix.indptr))
    for start in range(0, len(mixed), BLOCK_ROWS):
        rows = mixed[start : start + BLOCK_ROWS]
        part = matrix[rows]
        offsets, columns, values = (torch.from_numpy(array) for array in (part.indptr, part.indices, part.data))
        weights = sparse_weights(offsets, columns, values, matrix.shape[1])
        yield Block(rows, weights, None if similarity is None else torch.from_numpy(similarity[rows]))


def merged(block: Block, columns: np.ndarray, width: int) -> Block:
    """``block`` with ``width`` columns, its column i added to column ``columns[i]``; ``columns``: shape (anchors,)."""
    weights = block.weights
    if weights.layout == torch.sparse_csr:
        offsets, held, values = sparse_parts(weights)
        matrix = csr_matrix((values, columns[held], offsets), (len(block.rows), width))
        matrix.sum_duplicates()
        rows, ids, sums = (torch.from_numpy(array) for array in (matrix.indptr, matrix.indices, matrix.data))
        return replace(block, weights=sparse_weights(rows, ids, sums, width).to(weights.device))
    places = torch.from_numpy(columns).to(weights.device)
    return replace(block, weights=weights.new_zeros(len(block.rows), width).index_add_(1, places, weights))


def supports(weights: Tensor) -> np.ndarray:
    """How many entries of each row are not zero; shape (n,)."""
    sparse = weights.layout == torch.sparse_csr
    counts = weights.crow_indices().diff() if sparse else torch.count_nonzero(weights, 1)
    return np.asarray(counts.cpu())


def sparse_parts(weights: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets (n + 1,), columns and values of the entries that are not zero, row by row, whatever the layout."""
    sparse = weights if weights.layout == torch.sparse_csr else weights.to_sparse_csr()
    parts = (sparse.crow_indices(), sparse.col_indices(), sparse.values())
    offsets, columns, values = (part.cpu().numpy() for part in parts)
    return offsets, columns, values


def without_small(weights: Tensor, count: int) -> Tensor:
    """Strided weights with only the ``count`` largest absolute values of each row, and values equal to the smallest of
    these, the others set to 0. Sparse weights are returned unchanged."""
    if weights.layout == torch.sparse_csr or weights.shape[1] <= count:
        return weights
    sizes = weights.abs()
    return weights.where(sizes >= largest_of_rows(sizes, count)[0][:, -1:], 0)


def sparse_weights(offsets: Tensor, columns: Tensor, values: Tensor, width: int) -> Tensor:
    """The sparse CSR weights of a block, shape (len(offsets) - 1, width), from their parts."""
    shape = (len(offsets) - 1, width)
    return torch.sparse_csr_tensor(offsets, columns, values, shape, check_invariants=False)


def row_values(sparse: Tensor) -> tuple[Tensor, Tensor]:
    """The values of each row of a sparse CSR matrix, in order and followed by -inf, and which are not padding; both (n,
    the largest number of values in a row)."""
    counts = sparse.crow_indices().diff()
    held = torch.arange(int(counts.max()), device=counts.device) < counts[:, None]
    return sparse.values().new_full(held.shape, -torch.inf).masked_scatter_(held, sparse.values()), held


def selected(block: Block, kept: np.ndarray) -> Block:
    """The rows of ``block`` for which ``kept``, shape (n,), bool, is true."""
    if kept.all():
        return block
    similarity = None if block.similarity is None else block.similarity[torch.from_numpy(kept)]
    if block.weights.layout != torch.sparse_csr:
        return Block(block.rows[kept], block.weights[torch.from_numpy(kept)], similarity)
    offsets, columns, values = sparse_parts(block.weights)
    matrix = csr_matrix((values, columns, offsets), tuple(block.weights.shape))[kept]
    rows, ids, kept_values = (torch.from_numpy(array) for array in (matrix.indptr, matrix.indices, matrix.data))
    weights = sparse_weights(rows, ids, kept_values, block.weights.shape[1]).to(block.weights.device)
    return Block(block.rows[kept], weights, similarity)


def shares(weights: Tensor) -> Tensor:
    """The absolute weights, each row scaled to sum to 1; a row of zeros remains zero. Same shape and layout."""
    if weights.layout != torch.sparse_csr:
        sizes = weights.abs()
        return sizes / sizes.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    values, counts = weights.values().abs(), weights.crow_indices().diff()
    row = torch.repeat_interleave(torch.arange(len(counts), device=values.device), counts)
    sums = values.new_zeros(len(counts)).index_add_(0, row, values).clamp_(min=torch.finfo(torch.float32).tiny)
    return sparse_weights(weights.crow_indices(), weights.col_indices(), values / sums[row], weights.shape[1])
