"""The bootstrap against cases whose answer is known, and what has to hold of it for any losses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ttest_rel

from focus_plugin.comparison.bootstrap import (
    MOST_BLOCKS,
    best_probabilities,
    better_probability,
    blocks,
    resampled_means,
)

ALIKE = np.full(2, 10)


def _means(
    *sums: object, predictions: np.ndarray = ALIKE, seeds: list[list[int]] | None = None, draws: int = 20_000
) -> np.ndarray:
    """``seeds``: by default the same for all candidates."""
    losses = [np.array(one, float) for one in sums]
    seeds = seeds or [list(range(len(one))) for one in losses]
    return resampled_means(losses, predictions, seeds=seeds, draws=draws, seed=1)


def test_two_blocks_are_drawn_in_four_ways():
    """The difference is +10 on one block and -20 on the other: the sum over two draws is 20, -10 (twice) or -40."""
    one, other = _means([[50, 30]], [[40, 50]])
    assert better_probability(one, other) == pytest.approx(3 / 4, abs=0.01)
    values, counts = np.unique(np.round((one - other) * 20), return_counts=True)
    assert values.tolist() == [-40, -10, 20]
    assert counts / 20_000 == pytest.approx([1 / 4, 1 / 2, 1 / 4], abs=0.01)


def test_the_spread_is_that_of_the_mean_of_many_blocks():
    draw = np.random.default_rng(3)
    one, noise = draw.normal(50, 5, size=(1, 100)), draw.normal(0, 1, size=(1, 100))
    predictions = np.full(100, 10)
    better, worse = _means(one, one + 0.1 + noise, predictions=predictions)
    difference, error = (0.1 + noise.mean()) / 10, noise.std() / 10 / math.sqrt(100)
    assert (worse - better).std() == pytest.approx(error, rel=0.03)
    normal = (1 + math.erf(difference / error / math.sqrt(2))) / 2
    assert better_probability(better, worse) == pytest.approx(normal, abs=0.02)


def test_over_seeds_it_is_the_paired_t_test():
    draw = np.random.default_rng(5)
    one = draw.normal(50, 5, size=(4, 1))
    for shift in (0.0, 1.0, 4.0):
        other = one + shift + draw.normal(0, 2, size=(4, 1))
        better = better_probability(*_means(one, other, predictions=np.array([10])))
        expected = 1 - ttest_rel(one[:, 0], other[:, 0], alternative="less").pvalue
        assert better == pytest.approx(expected, abs=0.01)


def test_what_all_seeds_have_in_common_cancels_only_if_they_are_paired():
    """Apart, the difference of two seeds each has a Cauchy distribution: the standard error of either mean is 1."""
    one = np.array([[10.0, 10], [30, 30]])
    paired, apart = (_means(one, one + 1, seeds=[[1, 2], others]) for others in ([1, 2], [3, 4]))
    assert better_probability(*paired) == 1
    assert better_probability(*apart) == pytest.approx(0.5 + math.atan(0.1 / 2) / math.pi, abs=0.01)


def test_candidates_may_have_different_numbers_of_seeds():
    one = np.array([[10.0, 10], [30, 30]])
    alone, first, second = _means([[10, 10]], one, one + 1, seeds=[[1], [1, 2], [1, 2]])
    assert alone == pytest.approx(1)
    assert better_probability(first, second) == 1  # whatever the other candidates have, these two are paired


def test_blocks_without_predictions_do_not_count():
    some = _means([[50, 30, 0]], [[40, 50, 0]], predictions=np.array([10, 10, 0]))
    assert np.array_equal(some, _means([[50, 30]], [[40, 50]]))


LOSSES = st.integers(1, 4).flatmap(
    lambda n: st.lists(arrays(float, (2, 3), elements=st.floats(0, 100)), min_size=n, max_size=n)
)


@settings(max_examples=30, deadline=None)
@given(LOSSES)
def test_probabilities_add_up_and_the_order_of_candidates_does_not_matter(losses):
    predictions = np.array([3, 10, 7])
    means = _means(*losses, predictions=predictions, draws=200)
    best = best_probabilities(means)
    assert best.sum() == pytest.approx(1)
    assert best_probabilities(_means(*losses[::-1], predictions=predictions, draws=200)) == pytest.approx(best[::-1])
    single = [one[:1] for one in losses]
    means = _means(*single, predictions=predictions, draws=200)
    low, high = (np.array([extreme(one / predictions) for one in single]) for extreme in (np.min, np.max))
    assert (means >= low[:, None] - 1e-9).all()
    assert (means <= high[:, None] + 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(arrays(float, (2, 3), elements=st.floats(0, 100)), st.integers(2, 4))
def test_equal_candidates_share_the_probability(losses, count):
    means = _means(*[losses] * count, predictions=np.array([3, 10, 7]), draws=100)
    assert best_probabilities(means) == pytest.approx(np.full(count, 1 / count))
    assert better_probability(means[0], means[1]) == 0.5


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5 * MOST_BLOCKS))
def test_blocks_are_the_samples_added_up(samples):
    sums, predictions = np.arange(samples) + 0.5, np.arange(samples) % 7
    added, counted = blocks(sums, predictions)
    assert len(added) == len(counted) == min(samples, MOST_BLOCKS)
    assert added.sum() == pytest.approx(sums.sum())
    assert counted.sum() == predictions.sum()
    _, sizes = blocks(sums, np.ones(samples, int))
    assert sizes.max() - sizes.min() <= 1
