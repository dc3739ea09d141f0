"""Alpha-entmax against the library's bisection in float64, for short and long mixtures."""

import entmax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_plugin.mixing.entmax import entmax_weights
from focus_plugin.mixing.largest import GROUP

WIDTHS = [1, 2, GROUP, GROUP + 1, 3000]
ALPHAS = [1.0, 1.05, 1.25, 1.5, 1.75, 1.99, 2.0]


def check_entmax(scores: torch.Tensor, alpha: float) -> torch.Tensor:
    weights = entmax_weights(scores, alpha).to_dense()
    exact = scores.double()
    want = exact.softmax(1) if alpha == 1 else entmax.entmax_bisect(exact, alpha, 1, n_iter=100)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.double(), want, atol=3e-6, rtol=0)
    torch.testing.assert_close(weights.sum(1), torch.ones(len(scores)), atol=1e-5, rtol=0)
    return weights


def rows_of(width: int, scale: float) -> torch.Tensor:
    return (torch.rand(5, width, generator=torch.Generator().manual_seed(width)) * 2 - 1) * scale + 0.3


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scale", [8.0, 1.0, 1e-2, 0.0])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_as_the_library_at_every_width_and_flatness(width, scale, alpha):
    check_entmax(rows_of(width, scale), alpha)


def test_a_smaller_alpha_makes_longer_mixtures():
    scores = rows_of(3000, 1.0)
    supports = [int(torch.count_nonzero(check_entmax(scores, alpha))) for alpha in ALPHAS]
    assert supports == sorted(supports, reverse=True)
    assert supports[0] == scores.numel()
    assert supports[-1] < scores.numel() / 20


def test_short_mixtures_are_sparse_and_long_ones_are_strided():
    assert entmax_weights(rows_of(3000, 8.0), 1.5).layout == torch.sparse_csr
    assert entmax_weights(rows_of(3000, 1e-2), 1.5).layout == torch.strided


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=150), st.sampled_from(ALPHAS))
def test_entmax_of_any_cosines(scores, alpha):
    check_entmax(torch.tensor([scores]), alpha)
