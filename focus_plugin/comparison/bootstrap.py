"""How certain a difference between mean losses is, given that both the text and the random seeds are samples.

Text is resampled in blocks, the same for all candidates: the paired bootstrap of Koehn 2004, Statistical Significance
Tests for Machine Translation Evaluation, section 3. Two or three seeds are too few to resample: their mean would vary
by 29 or 18 % too little, and never beyond the seeds themselves. So it varies as in Student's t-test, paired if the
candidates have the same seeds.
"""

from collections.abc import Mapping, Sequence

import numpy as np

MOST_BLOCKS = 200


def blocks(sums: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The losses of consecutive samples added up in at most MOST_BLOCKS blocks of text of almost equal length.

    ``sums``, ``predictions``: shape (samples,), the sum of the losses of a sample and the number of predictions in it.
    """
    starts = np.arange(min(MOST_BLOCKS, len(sums))) * len(sums) // min(MOST_BLOCKS, len(sums))
    return np.add.reduceat(sums, starts), np.add.reduceat(predictions, starts)


def resampled_means(
    sums: Sequence[np.ndarray], predictions: np.ndarray, *, seeds: Sequence[Sequence[int]], draws: int, seed: int
) -> np.ndarray:
    """The mean loss of every candidate in every draw, in nats; shape (candidates, draws).

    ``sums``: for each candidate, the losses added up in each block, shape (seeds, blocks). ``predictions``: shape
    (blocks,), the number of predictions in each block. ``seeds``: for each candidate, the random seeds of its rows.
    Each draw takes as many blocks as there are, with replacement; see also :func:`means_over_seeds`.
    """
    draw = np.random.default_rng(seed)
    sums, predictions = [one[:, predictions > 0] for one in sums], predictions[predictions > 0]
    of_blocks = draw.multinomial(len(predictions), np.full(len(predictions), 1 / len(predictions)), size=draws)
    total = of_blocks @ predictions
    return means_over_seeds([of_blocks @ losses.T / total[:, None] for losses in sums], seeds, draw)


def means_over_seeds(
    by_seed: Sequence[np.ndarray], seeds: Sequence[Sequence[int]], draw: np.random.Generator
) -> np.ndarray:
    """The mean over the random seeds of every candidate in every draw; shape (candidates, draws).

    ``by_seed``: for each candidate, the values of its seeds in every draw, shape (draws, seeds). ``seeds``: which these
    are. The mean of n seeds with the standard deviation s is moved by t * s / sqrt(n), where t has Student's
    distribution with n - 1 degrees of freedom. The same holds of the difference of two candidates with the same seeds,
    with the standard deviation of their differences. One seed is not moved.
    """
    draws = len(by_seed[0])
    normal = {one: draw.standard_normal(draws) for one in sorted({one for group in seeds for one in group})}
    moves = {group: _moves(draw, normal, group) for group in sorted(set(map(tuple, seeds)))}
    means = []
    for values, group in zip(by_seed, seeds, strict=True):
        mean = values.mean(axis=1)
        means.append(mean + (moves[tuple(group)] * (values - mean[:, None])).sum(axis=1))
    return np.array(means)


def best_probabilities(means: np.ndarray) -> np.ndarray:
    """For each candidate the share of resamples in which its mean is the lowest; equal means share one.

    ``means``: shape (candidates, draws).
    """
    lowest = means == means.min(axis=0)
    shares: np.ndarray = (lowest / lowest.sum(axis=0)).mean(axis=1)
    return shares


def better_probability(one: np.ndarray, other: np.ndarray) -> float:
    """The share of resamples in which ``one`` is lower than ``other``, equal means counted half; shape (draws,)."""
    return float((one < other).mean() + (one == other).mean() / 2)


def _moves(draw: np.random.Generator, normal: Mapping[int, np.ndarray], seeds: Sequence[int]) -> np.ndarray:
    """Factors of the seeds' deviations from their mean whose sum is t * s / sqrt(n); shape (draws, n).

    ``normal``: for each seed standard normal numbers, shape (draws,).
    """
    count, drawn = len(seeds), np.stack([normal[one] for one in seeds], axis=1)
    if count == 1:
        return np.zeros_like(drawn)
    return np.asarray(drawn / np.sqrt(count * draw.chisquare(count - 1, size=(len(drawn), 1))))
