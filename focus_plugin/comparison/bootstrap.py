"""How certain a difference between mean losses is: a paired bootstrap over blocks of text and over random seeds.

Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 8; for pairs of systems that are measured on
the same text, Koehn 2004, Statistical Significance Tests for Machine Translation Evaluation, section 3.
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
    """The mean loss of every candidate in every resample, in nats; shape (candidates, draws).

    ``sums``: for each candidate, the losses added up in each block, shape (seeds, blocks). ``predictions``: shape
    (blocks,), the number of predictions in each block. A resample draws as many blocks as there are, with replacement,
    the same for all candidates, and as many seeds as a candidate has. ``paired``: the candidates have the same seeds,
    so the drawn seeds are the same, too.
    """
    draw = np.random.default_rng(seed)
    sums, predictions = [one[:, predictions > 0] for one in sums], predictions[predictions > 0]
    of_blocks = _counts(draw, draws, len(predictions))
    total = of_blocks @ predictions
    of_seeds = _counts(draw, draws, len(sums[0]))
    means = []
    for losses in sums:
        if not paired:
            of_seeds = _counts(draw, draws, len(losses))
        by_seed = of_blocks @ losses.T / total[:, None]  # (draws, seeds)
        means.append((of_seeds * by_seed).sum(axis=1) / len(losses))
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


def _counts(draw: np.random.Generator, draws: int, things: int) -> np.ndarray:
    """How often each of ``things`` is drawn when as many are drawn with replacement; shape (draws, things)."""
    return draw.multinomial(things, np.full(things, 1 / things), size=draws)
