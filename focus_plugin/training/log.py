"""Reads the progress of a training from the log of ``fairseq-train``."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.files import read_lines

_STATISTICS = re.compile(r' \| INFO \| (\S+) \| (\{".*\})$')

DECISIVE = "metric"  # the name in the log of a task's decisive metric on the validation table
_EARLY_STOP = "early stop since valid performance hasn't improved"


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """The state of a training at a line of its log.

    update: number of updates so far. updates: of the whole training. loss: nats per prediction, on the latest batches
    or, if ``valid``, on the validation text. rate: tokens per second. tokens: the number of tokens in an update.
    metric: that by which the best checkpoint of a task is chosen.
    """

    update: int
    updates: int
    loss: float
    rate: float
    tokens: float
    valid: bool
    metric: float | None = None


def read_step(line: str, updates: int) -> TrainingStep | None:
    """The step in a line of a log, or None if the line has none. ``updates``: of the whole training."""
    match = _STATISTICS.search(line)
    if match is None or match[1] not in ("train_inner", "valid"):
        return None
    statistics, valid = json.loads(match[2]), match[1] == "valid"
    # fairseq logs -1 for an update without a masked token
    if not valid and float(statistics["loss"]) < 0:
        return None
    prefix = "valid_" if valid else ""
    return TrainingStep(
        update=int(statistics[f"{prefix}num_updates"]),
        updates=updates,
        loss=float(statistics.get(f"{prefix}nats") or float(statistics[f"{prefix}loss"]) * math.log(2)),
        rate=float(statistics[f"{prefix}wps"]),
        tokens=float(statistics[f"{prefix}wpb"]),
        valid=valid,
        metric=float(statistics[f"valid_{DECISIVE}"]) if f"valid_{DECISIVE}" in statistics else None,
    )


def validations(log: Path) -> tuple[TrainingStep, ...]:
    """The validations of a training in its log, in order.

    A training that was killed after a validation repeats it when it resumes; the later one counts.
    """
    found = (step for line in read_lines(log) if (step := read_step(line, updates=0)) and step.valid)
    steps = {step.update: step for step in found}
    return tuple(steps[update] for update in sorted(steps))


def stopped_early(log: Path) -> bool:
    """Whether a training ended before its last update because of ``--patience``."""
    return log.is_file() and any(_EARLY_STOP in line for line in read_lines(log))
