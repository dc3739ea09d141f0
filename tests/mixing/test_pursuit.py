"""Orthogonal matching pursuit against scikit-learn's, and its identities."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import orthogonal_mp

from focus_plugin.mixing.pursuit import matching_pursuit


def normal(rows: int, dimension: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, dimension, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("atoms", "dimension", "count"), [(200, 20, 8), (50, 64, 32), (40, 100, 40), (500, 30, 1)])
def test_as_scikit_learn(atoms, dimension, count):
    """Atoms of different norms, which the norm of an atom makes more or less likely to be chosen."""
    points = normal(atoms, dimension, 1) * torch.linspace(0.5, 2, atoms)[:, None]
    vectors = normal(30, dimension, 2)
    found = matching_pursuit(vectors, points, count).to_dense().numpy()
    unit = np.linalg.norm(points.double().numpy(), axis=1)
    want = np.zeros_like(found)
    for row, vector in zip(want, vectors.double().numpy(), strict=True):
        chosen: list[int] = []
        residual = vector
        for _ in range(count):
            products = np.abs(points.double().numpy() @ residual)
            products[chosen] = -1
            chosen.append(int(products.argmax()))
            part = points.double().numpy()[chosen].T
            weights = np.linalg.lstsq(part, vector, rcond=None)[0]
            residual = vector - part @ weights
        row[chosen] = weights
    np.testing.assert_allclose(found, want, atol=2e-4, rtol=0)
    assert (np.count_nonzero(found, axis=1) == count).all()
    equal = matching_pursuit(vectors, points / torch.from_numpy(unit).float()[:, None], count).to_dense().numpy()
    theirs = orthogonal_mp(
        (points.double().numpy() / unit[:, None]).T, vectors.double().numpy().T, n_nonzero_coefs=count
    )
    np.testing.assert_allclose(equal, theirs.T.reshape(equal.shape), atol=2e-4, rtol=0)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(1, 30), st.integers(1, 12), st.integers(0, 10**6))
def test_the_residual_is_orthogonal_to_the_chosen_atoms(dimension, atoms, count, seed):
    points, vectors = normal(atoms, dimension, seed), normal(7, dimension, seed + 1)
    weights = matching_pursuit(vectors, points, count).to_dense()
    assert (torch.count_nonzero(weights, 1) <= min(count, atoms, dimension)).all()
    residual = vectors - weights @ points
    chosen = (weights != 0).float()
    torch.testing.assert_close(chosen * (residual @ points.T), torch.zeros(7, atoms), atol=1e-3, rtol=0)
    shorter = vectors - matching_pursuit(vectors, points, max(1, count - 1)).to_dense() @ points
    assert (residual.norm(dim=1) <= shorter.norm(dim=1) + 1e-4).all()


def test_what_is_expressed_exactly_gets_no_more_atoms():
    points = normal(50, 10, 1)
    vectors = torch.stack([points[3], -2 * points[7], points[5] * 0.01])
    weights = matching_pursuit(vectors, points / points.norm(dim=1, keepdim=True), 8).to_dense()
    assert weights.count_nonzero(1).tolist() == [1, 1, 1]
    torch.testing.assert_close(
        weights[[0, 1, 2], [3, 7, 5]], points[[3, 7, 5]].norm(dim=1) * torch.tensor([1, -2, 0.01])
    )


def test_more_atoms_than_dimensions_and_equal_atoms():
    points = normal(6, 3, 1).repeat(3, 1)
    vectors = normal(4, 3, 2)
    weights = matching_pursuit(vectors, points, 16).to_dense()
    assert torch.isfinite(weights).all()
    torch.testing.assert_close(weights @ points, vectors, atol=1e-4, rtol=1e-4)
    assert (torch.count_nonzero(weights, 1) <= 3).all()


def test_a_vector_orthogonal_to_all_atoms_has_no_weights():
    points = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    weights = matching_pursuit(torch.tensor([[0.0, 0, 1], [1, 2, 0]]), points, 2).to_dense()
    torch.testing.assert_close(weights, torch.tensor([[0.0, 0], [1, 2]]))
