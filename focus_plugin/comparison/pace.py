"""The speed of a training, from its log."""

from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines
from focus_plugin.training.log import read_step


@dataclass(frozen=True, kw_only=True)
class Pace:
    """tokens: of an update, the mean. seconds: of an update."""

    tokens: float
    seconds: float


def pace(log: Path) -> Pace:
    """The pace of a training. Raises FocusError if ``log`` reports no update.

    The rate is the median of those logged: some of them include a validation, or the first updates, which are slower.
    """
    steps = [step for line in read_lines(log) if (step := read_step(line, updates=0)) and not step.valid]
    if not steps:
        raise FocusError(f"{log}: reports no update of a training.")
    tokens = mean(step.tokens for step in steps)
    return Pace(tokens=tokens, seconds=tokens / median(step.rate for step in steps))
