"""How much a pretraining reads if it is not told: updates, and tokens of an update, by the size of the text."""

import math
from dataclasses import dataclass

from focus_plugin.masked_lm.options import Pretraining

_UPDATES = 10_000
_PASSES = 10  # see docs/results.md, "How often to read a small text"
_SMALLEST, _LARGEST = 4_096, 32_768  # tokens of an update
_LONGEST_WITHOUT_VALIDATION = 1_000


@dataclass(frozen=True, kw_only=True)
class TrainingAmount:
    """updates: optimizer steps. batch_tokens: tokens of one, over all devices. validate_every: updates between
    validations."""

    updates: int
    batch_tokens: int
    validate_every: int


def amount_of(job: Pretraining, text_tokens: int) -> TrainingAmount:
    """What ``job`` says, and the defaults of what it does not say for a training text of ``text_tokens`` tokens.

    A text is read ten times, but in at most 10,000 updates. An update has the smallest power of two, from 4,096 to
    32,768 tokens, with which these are enough.
    """
    goal = _PASSES * text_tokens
    power = 2 ** math.ceil(math.log2(max(goal / _UPDATES, 1)))
    batch = job.batch_tokens or min(max(power, _SMALLEST), _LARGEST)
    updates = job.updates or min(math.ceil(goal / batch), _UPDATES)
    validate_every = job.validate_every or min(math.ceil(updates / 10), _LONGEST_WITHOUT_VALIDATION)
    return TrainingAmount(updates=updates, batch_tokens=batch, validate_every=validate_every)


def split_update(batch_tokens: int, device_tokens: int, devices: int, sample: int) -> tuple[int, int]:
    """How an update of ``batch_tokens`` tokens is read: the tokens of a batch on each device, and the number of such
    batches that follow each other.

    A batch has at most ``device_tokens`` tokens, and at least the ``sample`` tokens of one sample. So an update can
    have more tokens than asked for, if each device reads only one sample.
    """
    accumulate = math.ceil(batch_tokens / (device_tokens * devices))
    return max(sample, batch_tokens // (accumulate * devices)), accumulate
