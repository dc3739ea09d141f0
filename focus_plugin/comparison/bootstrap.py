"""How certain a difference between mean losses is, given that both the text and the random seeds are samples.

Text is resampled in blocks, the same for all candidates: the paired bootstrap of Koehn 2004, Statistical Significance
Tests for Machine Translation Evaluation, section 3. Two or three seeds are too few to resample: their mean would vary
by 29 or 18 % too little, and never beyond the seeds themselves. So it varies as in Student's t-test, paired if the
candidates have the same seeds.
"""

from collections.abc import Sequence

import numpy as np

MOST_BLOCKS = 200


def blocks(sums: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The losses of consecutive samples added up in at most MOST_BLOCKS blocks of text of almost equal length.

    ``sums``, ``predictions``: shape (samples,), the sum of the losses of a sample and the number of predictions in it.
    """
    starts = np.arange(min(MOST_BLOCKS, len(sums))) * len(sums) // min(MOST_BLOCKS, len(sums))
    return np.add.reduceat(sums, starts), np.add.reduceat(predictions, starts)


def resampled_means(
    sums: Sequence[np.ndarray], predictions: np.ndarray, *, paired: bool, draws: int, seed: int
) -> np.ndarray:
    """The mean loss of every candidate in every draw, in nats; shape (candidates, draws).

    ``sums``: for each candidate, the losses added up in each block, shape (seeds, blocks). ``predictions``: shape
    (blocks,), the number of predictions in each block. Each draw takes as many blocks as there are, with replacement.
    Then the mean of n seeds with the standard deviation s is moved by t * s / sqrt(n), where t has Student's
    distribution with n - 1 degrees of freedom. ``paired``: the candidates have the same seeds. The same then holds of
    the difference of any two candidates, with the standard deviation of their differences. One seed is not moved.
    """
    draw = np.random.default_rng(seed)
    sums, predictions = [one[:, predictions > 0] for one in sums], predictions[predictions > 0]
    of_blocks = draw.multinomial(len(predictions), np.full(len(predictions), 1 / len(predictions)), size=draws)
    total = of_blocks @ predictions
    moves = _moves(draw, draws, len(sums[0]))
    means = []
    for losses in sums:
        if not paired:
            moves = _moves(draw, draws, len(losses))
        by_seed = of_blocks @ losses.T / total[:, None]  # (draws, seeds)
        mean = by_seed.mean(axis=1)
        means.append(mean + (moves * (by_seed - mean[:, None])).sum(axis=1))
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


def _moves(draw: np.random.Generator, draws: int, seeds: int) -> np.ndarray:
    """Factors of the seeds' deviations from their mean whose sum is t * s / sqrt(seeds); shape (draws, seeds)."""
    if seeds == 1:
        return np.zeros((draws, 1))
    scale = np.sqrt(seeds * draw.chisquare(seeds - 1, size=draws))
    return np.asarray(draw.standard_normal((draws, seeds)) / scale[:, None])
