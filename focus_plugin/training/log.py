"""What ``fairseq-train`` says in its log of how a training goes."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.files import read_lines

_STATISTICS = re.compile(r' \| INFO \| (\S+) \| (\{".*\})$')


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """Where a training is. loss: in nats per prediction, of the latest batches or, if ``valid``, of the validation
    set. rate: tokens a second. updates: in all; update: so far."""

    update: int
    updates: int
    loss: float
    rate: float
    valid: bool


def read_step(line: str, updates: int) -> TrainingStep | None:
    """The step that a line of a log reports, None where it reports none; ``updates``: of the whole training."""
    match = _STATISTICS.search(line)
    if match is None or match[1] not in ("train_inner", "valid"):
        return None
    statistics, valid = json.loads(match[2]), match[1] == "valid"
    # of an update in which no token happened to be masked, fairseq says -1
    if not valid and float(statistics["loss"]) < 0:
        return None
    prefix = "valid_" if valid else ""
    return TrainingStep(
        update=int(statistics[f"{prefix}num_updates"]),
        updates=updates,
        loss=float(statistics.get(f"{prefix}nats") or float(statistics[f"{prefix}loss"]) * math.log(2)),
        rate=float(statistics[f"{prefix}wps"]),
        valid=valid,
    )


def validations(log: Path) -> tuple[TrainingStep, ...]:
    """What the validations of a training found, from its log, in order; of one made twice the later.

    A run that was killed after a validation makes it again when it resumes.
    """
    found = (step for line in read_lines(log) if (step := read_step(line, updates=0)) and step.valid)
    steps = {step.update: step for step in found}
    return tuple(steps[update] for update in sorted(steps))
