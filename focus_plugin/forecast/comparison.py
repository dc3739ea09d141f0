"""The forecast of a comparison of starts and recipes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from focus_plugin.forecast.forecast import Forecast, Step
from focus_plugin.forecast.machine import Rates
from focus_plugin.forecast.training import TrainingWork, training_steps


@dataclass(frozen=True, kw_only=True)
class TrainingRuns:
    """The trainings of one recipe that are not done yet.

    work: of one of them. runs: how many there are. seconds: that each may take; None if ``work`` says how many updates
    it has.
    """

    work: TrainingWork
    runs: int
    seconds: float | None


def comparison_forecast(
    output: Path, conversions: Mapping[str, Forecast], trainings: Mapping[str, TrainingRuns], keep: bool
) -> Forecast:
    """A step for each start that is to be converted and for each recipe, by its name as the user gave it.

    ``keep``: whether the trained encoders stay.
    """
    steps, size = [], 0
    for name, forecast in conversions.items():
        steps.append(_as_one(f"Converting {name}", forecast.steps, 1, size))
        size += forecast.size or 0
    for name, found in trainings.items():
        # an evaluation takes about as long as a validation
        work = replace(found.work, validations=found.work.validations + 1)
        step = _as_one(f"Training {name}, {found.runs} times", list(training_steps(work)), found.runs, size)
        if found.seconds is not None:
            step = replace(step, seconds=partial(_known, found.runs * found.seconds))
        steps.append(step)
        size += found.runs * work.size if keep else 0
    return Forecast(output=output, steps=tuple(steps), size=size)


def _known(seconds: float, _: Rates) -> float:
    return seconds


def _as_one(name: str, steps: Sequence[Step], times: int, before: int) -> Step:
    """Steps that are done ``times`` times as one step; ``before``: bytes that are on the disk already."""

    def seconds(rates: Rates) -> float | None:
        each = [step.seconds(rates) if step.seconds else None for step in steps]
        return None if None in each else times * sum(filter(None, each))

    largest = max(steps, key=lambda step: step.memory)
    return Step(
        name=name,
        seconds=seconds,
        memory=largest.memory,
        disk=before + max(step.disk for step in steps),
        elsewhere=max((step.elsewhere for step in steps), key=lambda places: sum(size for _, size in places)),
        less=largest.less,
    )
