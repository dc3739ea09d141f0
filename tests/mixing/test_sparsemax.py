"""Sparsemax against the library's in float64, for supports of every size."""

import entmax
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from focus_plugin.mixing.largest import GROUP
from focus_plugin.mixing.sparsemax import sparsemax, threshold

WIDTHS = [1, 2, GROUP - 1, GROUP, GROUP + 1, 3 * GROUP, 3 * GROUP + 1, 3000]


def check(scores: torch.Tensor, atol: float = 1e-6) -> torch.Tensor:
    """The weights, once they are what the library says: values, sums, and zeros that are exact zeros."""
    ours = sparsemax(scores)
    weights, theirs = ours.to_dense(), entmax.sparsemax(scores.double(), dim=1, k=None)
    assert ours.shape == scores.shape
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.double(), theirs, atol=atol, rtol=0)
    torch.testing.assert_close(weights.sum(1), torch.ones(len(scores), dtype=scores.dtype), atol=1e-6, rtol=0)
    if ours.layout == torch.sparse_csr:
        assert (ours.values() > 0).all()
    return weights


def drawn(rows: int, columns: int, scale: float, seed: int = 1) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (torch.rand(rows, columns, generator=draw) * 2 - 1) * scale


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-4, 1e-7, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_as_the_library_at_every_width_and_flatness(width, scale, dtype):
    check(drawn(7, width, scale).to(dtype) + 0.3)


@pytest.mark.parametrize("support", [1, 2, 3, GROUP, GROUP + 1, 300, 375, 376, 1000, 2999, 3000])
def test_supports_of_every_size(support):
    """As many elements as asked for above the threshold, the rest below, in any order."""
    scores = torch.full((4, 3000), -2 / support)
    scores[:, :support] = drawn(4, support, 0.2 / support)
    order = torch.randperm(3000, generator=torch.Generator().manual_seed(support))
    weights = check(scores[:, order])
    assert torch.count_nonzero(weights, 1).tolist() == [support] * 4


@pytest.mark.parametrize("place", range(2 * GROUP + 3))
def test_the_largest_element_counts_wherever_it_stands(place):
    """Also behind the last whole group, with all others out of reach."""
    scores = torch.full((1, 2 * GROUP + 3), -0.5)
    scores[0, place] = 0.9
    assert check(scores)[0, place] == 1


@pytest.mark.parametrize("above", [1e-6, 1e-7, 3e-8, 0.0, -1e-7])
def test_thousands_of_elements_at_the_threshold(above):
    """Where each weighs as little as the threshold's rounding."""
    scores = torch.full((4, 3000), -0.5) + drawn(4, 1, 0.1)
    scores[:, [5, 900]] += torch.tensor([0.48 - above, 0.52 - above])
    check(scores, atol=1e-5)


@pytest.mark.parametrize("side", [-2.0, 0.0, None])
def test_elements_on_the_threshold_itself(side):
    """To the last bit on it, below or above: with each rounding the support is another."""
    for equal in range(1, 60):
        edge = torch.tensor(-1 / equal)
        edge = edge if side is None else torch.nextafter(edge, torch.tensor(side))
        for others in range(1, 4):
            check(torch.cat([torch.zeros(1, equal), edge.expand(1, others)], 1))


def test_ties_share_alike():
    scores = torch.zeros(2, 1000)
    scores[0, ::10] = 0.7
    weights = check(scores)
    torch.testing.assert_close(weights[0, ::10], torch.full((100,), 0.01))
    torch.testing.assert_close(weights[1], torch.full((1000,), 0.001))


def test_both_layouts_and_rows_of_both_kinds_in_one_block():
    sharp, flat = drawn(30, 3000, 1.0), drawn(30, 3000, 1e-4)
    assert sparsemax(sharp).layout == torch.sparse_csr
    assert sparsemax(flat).layout == torch.strided
    alone = torch.cat([sparsemax(sharp).to_dense(), sparsemax(flat)])
    torch.testing.assert_close(check(torch.cat([sharp, flat])), alone, atol=1e-6, rtol=0)


def test_a_constant_and_the_order_of_the_columns_do_not_matter():
    scores = drawn(5, 2000, 0.5)
    order = torch.randperm(2000, generator=torch.Generator().manual_seed(2))
    weights = sparsemax(scores).to_dense()
    torch.testing.assert_close(sparsemax(scores[:, order]).to_dense(), weights[:, order], atol=1e-6, rtol=0)
    torch.testing.assert_close(sparsemax(scores + 0.25).to_dense(), weights, atol=1e-6, rtol=0)


@given(st.lists(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=200))
@example([[1.0, 1.0, 1.0]] * GROUP + [[-1.0, -1.0, -1.0]])
def test_any_cosines(columns):
    scores = torch.tensor(columns).T.contiguous()
    weights = check(scores)
    bound = torch.full((3,), -1.0) + scores.amax(1)
    excess = (scores - threshold(scores, bound)[:, None]).clamp(min=0)
    torch.testing.assert_close(excess, weights, atol=1e-6, rtol=0)
