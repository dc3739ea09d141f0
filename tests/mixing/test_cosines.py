"""Estimated cosines: nothing that can have a weight is missed, and mixtures are those of all cosines in float32."""

from functools import partial

import entmax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_plugin.mixing import cosines
from focus_plugin.mixing.cosines import VectorsOf, largest_cosines, rounded_anchors, unit_rows
from focus_plugin.mixing.entmax import entmax_floor, entmax_weights
from focus_plugin.mixing.nearest import NearestOptions, nearest_weighing
from focus_plugin.mixing.similarity import Weighing, similar

ANCHORS = cosines.FEWEST + 37  # no multiple of a group


@pytest.fixture(autouse=True)
def _also_where_it_is_slow(monkeypatch):
    """On a CPU without instructions for it, and for many candidates."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(cosines, "SHARE", 1)


def clustered(draw: np.random.Generator, dimension: int, spread: float) -> np.ndarray:
    centers = draw.normal(size=(200, dimension))
    return centers[draw.integers(200, size=ANCHORS + 20)] + spread * draw.normal(size=(ANCHORS + 20, dimension))


def with_equal(draw: np.random.Generator, dimension: int, spread: float) -> np.ndarray:
    """Every vector several times, some of them in another length."""
    few = clustered(draw, dimension, spread)[draw.integers(200, size=ANCHORS + 20)]
    return few * draw.choice([0.5, 1, 3], size=(len(few), 1))


def of_small_integers(draw: np.random.Generator, dimension: int, spread: float) -> np.ndarray:
    """Many equal and many orthogonal vectors, and pairs of opposite ones."""
    rows = draw.integers(-1, 2, size=(ANCHORS + 20, dimension))
    rows[~rows.any(1), 0] = 1
    return rows


def around_one(draw: np.random.Generator, dimension: int, spread: float) -> np.ndarray:
    return 1 + spread * draw.normal(size=(ANCHORS + 20, dimension))


KINDS = (clustered, with_equal, of_small_integers, around_one)
vectors_of_any_kind = st.builds(
    lambda kind, seed, dimension, spread: kind(np.random.default_rng(seed), dimension, spread).astype(np.float32),
    st.sampled_from(KINDS),
    st.integers(0, 10**6),
    st.sampled_from([2, 8, 33]),
    st.sampled_from([1.0, 0.3, 1e-2, 1e-4, 1e-7]),
)


def sides(vectors: np.ndarray) -> tuple[VectorsOf, VectorsOf]:
    """Every 53rd vector as a new one, and the others as anchors."""
    new = np.arange(len(vectors)) % 53 == 3
    return VectorsOf(vectors, np.flatnonzero(new)), VectorsOf(vectors, np.flatnonzero(~new))


def exact(new: VectorsOf, anchors: VectorsOf) -> torch.Tensor:
    """The cosines in float64."""
    unit = [torch.from_numpy(side.vectors[side.ids]).double() for side in (new, anchors)]
    unit = [rows / rows.norm(dim=1, keepdim=True) for rows in unit]
    return unit[0] @ unit[1].T


def weights_of(vectors: np.ndarray, weighing: Weighing) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights and the largest similarities of all blocks."""
    blocks = list(similar(*sides(vectors), weighing))
    return torch.cat([block.weights.to_dense() for block in blocks]), torch.cat([block.similarity for block in blocks])


def entmax_of(alpha: float) -> Weighing:
    return Weighing(partial(entmax_weights, alpha=alpha), partial(entmax_floor, alpha=alpha))


@settings(max_examples=60, deadline=None)
@given(vectors_of_any_kind, st.sampled_from([2.0, 2.0, 1.5, 1.3]))
def test_mixtures_are_those_of_all_cosines(vectors, alpha):
    weights, most = weights_of(vectors, entmax_of(alpha))
    dense, largest = weights_of(vectors, Weighing(partial(entmax_weights, alpha=alpha)))
    torch.testing.assert_close(weights, dense, atol=1e-6, rtol=0)
    torch.testing.assert_close(most, largest, atol=1e-6, rtol=0)
    torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)), atol=1e-5, rtol=0)
    if alpha == 2:
        want = entmax.sparsemax(exact(*sides(vectors)), dim=1, k=None)
        torch.testing.assert_close(weights.double(), want, atol=2e-6, rtol=0)


@settings(max_examples=60, deadline=None)
@given(vectors_of_any_kind)
def test_no_cosine_above_the_threshold_is_missed(vectors):
    new, anchors = sides(vectors)
    found = largest_cosines(
        unit_rows(vectors[new.ids], "cpu"), rounded_anchors(anchors), partial(entmax_floor, alpha=2)
    )
    if found is None:
        return
    cosine, held = exact(new, anchors), found.to_dense()
    support = entmax.sparsemax(cosine, dim=1, k=None) > 0
    assert (held != 0)[support].all()
    torch.testing.assert_close(held[held != 0].double(), cosine[held != 0], atol=1e-6, rtol=0)


def test_the_nearest_is_found_also_where_another_estimate_is_larger():
    """With two anchors whose errors are among the largest, in opposite directions; all others are orthogonal."""
    draw = np.random.default_rng(4)
    new = torch.full((1, 4), 0.5)
    many = unit_rows(draw.normal(size=(10**6, 4)).astype(np.float32), "cpu")
    cosine, error = (many @ new.T)[:, 0], ((many.bfloat16().float() - many) @ new.T)[:, 0]
    nearest = error.masked_fill((cosine < 0.51) | (cosine > 0.52), 1).argmin()
    other = (cosine + error).masked_fill(cosine > cosine[nearest], -1).argmax()
    vectors = np.tile(np.array([0.5, -0.5, 0.5, -0.5], dtype=np.float32), (cosines.FEWEST, 1))
    vectors[[7, 300]] = many[torch.stack([nearest, other])].numpy()
    anchors = rounded_anchors(VectorsOf(vectors, np.arange(len(vectors))))
    assert (anchors.unit[300] - anchors.unit[7]).float() @ new[0] > 0.001
    found = largest_cosines(new, anchors, lambda some: some.amax(1))
    assert found.col_indices().tolist() == [7, 300]


@settings(max_examples=40, deadline=None)
@given(vectors_of_any_kind, st.sampled_from([1, 3, 10, 40]))
def test_the_nearest_are_the_nearest_of_all(vectors, neighbors):
    """Which of equal cosines are taken is arbitrary, so cosines and weights are compared in their order."""
    new, anchors = sides(vectors)
    weighing = nearest_weighing(NearestOptions(neighbors=neighbors), len(anchors.ids))
    weights, _ = weights_of(vectors, weighing)
    cosine = exact(new, anchors)
    best = cosine.topk(neighbors).values
    chosen = cosine[weights > 0].view(len(new.ids), neighbors).sort(descending=True).values
    torch.testing.assert_close(chosen, best, atol=1e-6, rtol=0)
    sizes = weights.topk(neighbors).values.double()
    torch.testing.assert_close(sizes, torch.softmax(best / 0.1, 1), atol=1e-5, rtol=0)


def test_only_a_few_cosines_are_computed_unless_all_are_alike(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    floor, draw = partial(entmax_floor, alpha=2), np.random.default_rng(1)
    for vectors, few in ((clustered(draw, 64, 0.3), True), (around_one(draw, 64, 1e-3), False)):
        new, anchors = sides(vectors.astype(np.float32))
        found = largest_cosines(unit_rows(new.vectors[new.ids], "cpu"), rounded_anchors(anchors), floor)
        assert (found is not None) == few
        if found is not None:
            support = torch.count_nonzero(entmax_weights(found, 2).values())
            assert len(found.values()) < 2 * support


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_vectors_whose_squares_are_beyond_float32_are_compared_in_the_other_way(scale):
    vectors = clustered(np.random.default_rng(2), 16, 0.3).astype(np.float32)
    want, _ = weights_of(vectors, entmax_of(2))
    vectors[5] *= scale
    assert rounded_anchors(sides(vectors)[1]) is None
    torch.testing.assert_close(weights_of(vectors, entmax_of(2))[0], want, atol=1e-6, rtol=0)


def test_few_anchors_and_other_cpus_are_compared_in_the_other_way(monkeypatch):
    vectors = clustered(np.random.default_rng(2), 16, 0.3).astype(np.float32)
    assert rounded_anchors(VectorsOf(vectors, np.arange(cosines.FEWEST))) is not None
    assert rounded_anchors(VectorsOf(vectors, np.arange(cosines.FEWEST - 1))) is None
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert rounded_anchors(VectorsOf(vectors, np.arange(cosines.FEWEST))) is None
