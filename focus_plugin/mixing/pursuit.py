"""Orthogonal matching pursuit of many vectors at once (Pati et al. 1993; Tropp & Gilbert 2007, algorithm 3)."""

import torch
from torch import Tensor

from focus_plugin.mixing.mixing import sparse_weights

SMALLEST_RESIDUAL = 1e-5  # of the norm of a vector; a smaller residual is only rounding


def matching_pursuit(vectors: Tensor, atoms: Tensor, count: int) -> Tensor:
    """Weights of at most ``count`` ``atoms`` with which their sum is close to each of ``vectors``.

    ``vectors``: shape (n, dimension), ``atoms``: (m, dimension), both float32; no row is zero. The atom with the
    largest absolute inner product with the residual is added, the residual is what the atoms so far cannot express, and
    so on. A vector that is expressed exactly gets no more atoms. The weights are those of least squares.
    Returns (n, m), float32, sparse CSR.

    The atoms of each vector are made orthogonal by Gram-Schmidt, so that a residual changes by one product only.
    """
    count = min(count, *atoms.shape)
    rows = torch.arange(len(vectors), device=vectors.device)
    chosen = rows.new_zeros(len(vectors), count)
    basis = vectors.new_zeros(len(vectors), count, vectors.shape[1])
    triangle = torch.eye(count, device=vectors.device).repeat(len(vectors), 1, 1)
    residual, columns = vectors.clone(), atoms.T.contiguous()
    smallest = SMALLEST_RESIDUAL * torch.linalg.vector_norm(vectors, dim=1)
    used = 0
    for step in range(count):
        open_rows = torch.linalg.vector_norm(residual, dim=1) > smallest
        if not open_rows.any():
            break
        products = (residual @ columns).abs_()
        products[rows[:, None], chosen[:, :step]] = -1
        chosen[:, step] = _places_of_largest(products)
        _extend(basis, triangle, atoms[chosen[:, step]], step)
        basis[~open_rows, step] = 0
        triangle[~open_rows, :step, step] = 0
        triangle[~open_rows, step, step] = 1
        direction = basis[:, step]
        residual -= direction * (direction * residual).sum(1, keepdim=True)
        used = step + 1
    parts = basis[:, :used] @ vectors[:, :, None]
    weights = torch.linalg.solve_triangular(triangle[:, :used, :used], parts, upper=True)[:, :, 0]
    return _sparse(weights, chosen[:, :used], len(atoms))


def _extend(basis: Tensor, triangle: Tensor, added: Tensor, step: int) -> None:
    """Add an atom for each vector to its orthonormal basis; the atoms are ``basis`` times ``triangle``."""
    before, rest = basis[:, :step], added.clone()
    for _ in range(2):  # the second time removes what rounding has left
        within = before @ rest[:, :, None]
        triangle[:, :step, step] += within[:, :, 0]
        rest -= (within.transpose(1, 2) @ before)[:, 0]
    length = torch.linalg.vector_norm(rest, dim=1).clamp(min=torch.finfo(torch.float32).tiny)
    triangle[:, step, step] = length
    basis[:, step] = rest / length[:, None]


def _places_of_largest(products: Tensor) -> Tensor:
    """The column of the largest value of each row; (n,). On a CPU numpy finds them several times faster than torch."""
    if products.device.type == "cpu":
        return torch.from_numpy(products.numpy().argmax(1))
    return products.argmax(1)


def _sparse(weights: Tensor, columns: Tensor, width: int) -> Tensor:
    """The weights as a sparse matrix of ``width`` columns, each row in the order of its columns and without zeros."""
    columns, order = columns.sort(1)
    weights = weights.gather(1, order)
    kept = weights != 0
    offsets = torch.nn.functional.pad(kept.sum(1).cumsum(0), (1, 0))
    return sparse_weights(offsets, columns[kept], weights[kept], width)
