"""The result of each pair of a start and a recipe, from the finished runs, and the recommended pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from focus_plugin.comparison.bootstrap import best_probabilities, better_probability, resampled_means
from focus_plugin.comparison.rows import Row

DRAWS = 10_000
_CERTAIN = 0.95
_UNEQUAL = 1.02  # how much more than the least read the most may read


@dataclass(frozen=True, kw_only=True)
class Result:
    """A pair of a start and a recipe; all losses in nats, means over the random seeds.

    rows: its runs, by seed. before, third, two_thirds, loss: before the training, at the first validation after a third
    and after two thirds of it, and after it. deviation: the standard deviation of the loss over seeds; None with one
    seed. seconds: of conversion and training; None if unknown. best: the probability that no other pair is better.
    behind: how much higher its loss is than that of the recommended pair, and the bounds of the 95 % interval.
    worse: the probability that the recommended pair is really better; None for that pair itself.
    """

    start: str
    recipe: str
    rows: tuple[Row, ...]
    before: float
    third: float
    two_thirds: float
    loss: float
    deviation: float | None
    seconds: float | None
    best: float
    behind: tuple[float, float, float]
    worse: float | None


def results(rows: Sequence[Row]) -> list[Result]:
    """The results of all pairs, the lowest loss first, which is the recommended pair; empty if there are no rows."""
    if not rows:
        return []
    groups = sorted(_groups(rows).values(), key=lambda group: mean(row.loss for row in group))
    seeds = [[row.seed for row in group] for group in groups]
    sums = [np.array([row.sums for row in group]) for group in groups]
    means = resampled_means(sums, np.array(rows[0].predictions), seeds=seeds, draws=DRAWS, seed=1)
    return [
        _result(group, means[i], means[0], groups[0], best)
        for i, (group, best) in enumerate(zip(groups, best_probabilities(means).tolist(), strict=True))
    ]


def recommendation(found: Sequence[Result]) -> str:
    """Sentences that say which pair to take, and how certain that is. ``found``: see ``results``, not empty."""
    first, *others = found
    said = [f"Recommended: --start {first.start} with --recipe {first.recipe}, {first.loss:.3f} nats."]
    for other in others[:1]:
        assert other.worse is not None
        behind, low, high = other.behind
        said.append(
            f"The next, {other.start} with {other.recipe}, has {behind:.3f} nats more (95 % interval {low:.3f} to "
            f"{high:.3f}); the probability that the recommended pair is really better is {probability(other.worse)}."
        )
        if other.worse < _CERTAIN:
            said.append("That is not certain; more --seeds or more text to measure on can tell.")
    if all(len(result.rows) == 1 for result in found):
        said.append("There is only one random seed, so these probabilities ignore the differences between trainings.")
    tokens = [row.tokens for result in found for row in result.rows]
    if max(tokens) > _UNEQUAL * min(tokens):
        said.append(f"The trainings read from {min(tokens):,} to {max(tokens):,} tokens.")
    return " ".join(said)


def probability(value: float) -> str:
    """A probability, of which no more than two digits mean anything."""
    return f"{value:.2f}" if 0.01 <= value <= 0.99 else "< 0.01" if value < 0.5 else "> 0.99"


def _groups(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows of each pair, by seed."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.seed):
        groups.setdefault((row.start, row.recipe), []).append(row)
    return groups


def _result(group: list[Row], means: np.ndarray, first: np.ndarray, leader: list[Row], best: float) -> Result:
    low, high = np.quantile(means - first, [0.025, 0.975]).tolist()
    loss = mean(row.loss for row in group)
    seconds = [row.conversion_seconds + row.training_seconds for row in group if row.conversion_seconds is not None]
    return Result(
        start=group[0].start,
        recipe=group[0].recipe,
        rows=tuple(group),
        before=mean(row.before for row in group),
        third=mean(_at(row.curve, row.updates / 3) for row in group),
        two_thirds=mean(_at(row.curve, 2 * row.updates / 3) for row in group),
        loss=loss,
        deviation=stdev(row.loss for row in group) if len(group) > 1 else None,
        seconds=mean(seconds) if seconds else None,
        best=best,
        behind=(loss - mean(row.loss for row in leader), low, high),
        worse=None if group is leader else better_probability(first, means),
    )


def _at(curve: Mapping[str, float], update: float) -> float:
    """The loss at the first validation at or after ``update``, or at the last one."""
    later = [int(validated) for validated in curve if int(validated) >= update]
    return curve[str(min(later) if later else max(map(int, curve)))]
