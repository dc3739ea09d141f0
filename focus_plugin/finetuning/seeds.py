"""Trainings that differ only in the random seed: their mean and deviation, and those that collapsed."""

import statistics
from collections.abc import Mapping, Sequence

from focus_plugin.errors import FocusError

_FAR = 0.1  # smallest difference to the median that is far below it
_SPREADS = 3  # how many deviations below the median a metric must also be
_DEVIATION = 1.4826  # of a normal distribution, as a multiple of its median absolute deviation
_LARGEST = 2**31 - 1


def read_seeds(text: str) -> tuple[int, ...]:
    """The seeds in an option such as ``1,2,3``. Raises FocusError unless they are several different whole numbers."""
    words = [word.strip() for word in text.split(",")]
    seeds = tuple(int(word) for word in words if word.isascii() and word.isdigit())
    if len(seeds) < len(words) or len(set(seeds)) < len(seeds) or len(seeds) < 2 or max(seeds) > _LARGEST:
        raise FocusError(f"--seeds {text}: must be several different whole numbers, separated by commas.")
    return seeds


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the sample standard deviation of at least two values."""
    return statistics.fmean(values), statistics.stdev(values)


def collapsed(metrics: Mapping[int, float], baseline: float | None) -> dict[int, str]:
    """The seeds whose training collapsed, with the reason as the end of a sentence. metrics: the decisive one by seed.

    A training collapsed if the model is not better than always giving the commonest result, whose metric is
    ``baseline``, or if, of at least three, it is far below the median: by 0.1 and by three deviations, which are
    estimated from the median absolute deviation.
    """
    median = statistics.median(metrics.values())
    spread = _DEVIATION * statistics.median(abs(value - median) for value in metrics.values())
    far = max(_FAR, _SPREADS * spread)
    found = {}
    for seed, value in metrics.items():
        if baseline is not None and value <= baseline:
            found[seed] = f"{value:.3f} is not more than {baseline:.3f}, that of always giving the commonest result"
        elif len(metrics) > 2 and median - value > far:
            found[seed] = f"{value:.3f} is far below the median of the seeds, {median:.3f}"
    return found
