"""The forecast of a training by fairseq."""

from collections.abc import Iterator
from dataclasses import dataclass

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.forecast.encoder import (
    FLOAT,
    Batch,
    forward_seconds,
    parameters,
    training_memory,
    training_seconds,
    update_seconds,
)
from focus_plugin.forecast.forecast import Step
from focus_plugin.forecast.machine import Rates, cuda_libraries, torch_process

_FAIRSEQ_TRAIN = 540_000_000  # bytes of fairseq-train before it has a model, besides what it shares with this command
_IN_CHECKPOINT = 3 * FLOAT  # bytes for each number: itself and Adam's two means
_IN_TRAINING = 5 * FLOAT  # the gradient too, and for a time the weights it starts from
_LOG_LINE, _LOG_BEGIN = 420, 20_000  # bytes of the log


@dataclass(frozen=True, kw_only=True)
class TrainingWork:
    """The amount of work of a training.

    rows: of the embedding. batch: what one device reads at once, on average; largest: at most. accumulate: batches of
    an update. updates: in all; done: those of an interrupted run. validations: how many; validated: tokens of each.
    beside: bytes of the files beside the released model. head: numbers of the task's head. on_gpu: whether a GPU
    trains, whose time is unknown. less: how the user can reduce the memory. validating: bytes that a validation adds to
    what the training holds. before, after: steps of the job before and after the training.
    """

    config: EncoderConfig
    rows: int
    batch: Batch
    largest: Batch
    accumulate: int
    updates: int
    validations: int
    validated: int
    beside: int
    done: int = 0
    head: int = 0
    on_gpu: bool = False
    less: str = "a smaller --device-tokens needs less"
    validating: int = 0
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()

    @property
    def numbers(self) -> int:
        """How many numbers are trained."""
        return parameters(self.config, self.rows) + self.head

    @property
    def size(self) -> int:
        """Bytes of the release."""
        lines = min(self.updates, 100) + self.validations
        return FLOAT * self.numbers + self.beside + _LOG_BEGIN + _LOG_LINE * lines


def training_steps(work: TrainingWork) -> Iterator[Step]:
    """The steps from the input to the release."""
    left = max(0, work.updates - work.done)
    share = left / max(1, work.updates)
    checkpoint = _IN_CHECKPOINT * work.numbers
    copies = min(work.validations, 2) + 2  # the best, the last, the one being written and the one before it
    held = torch_process() + FLOAT * work.numbers
    training = held + _FAIRSEQ_TRAIN + cuda_libraries() // 4 + _IN_TRAINING * work.numbers
    if not work.on_gpu:
        training += training_memory(work.config, work.largest)

    def update(rates: Rates) -> float:  # fairseq-train starts and reads the model as this command has done
        once = work.accumulate * training_seconds(work.config, work.batch) + update_seconds(work.numbers)
        return rates.elapsed + left * once

    def validate(rates: Rates) -> float:
        """Seconds of all validations that are left, each with its checkpoint."""
        batch = Batch(
            tokens=work.validated,
            length=work.batch.length,
            predicted=work.validated * work.batch.predicted // max(1, work.batch.tokens),
            rows=work.batch.rows,
        )
        once = forward_seconds(work.config, batch) + 3 * checkpoint / rates.write
        return share * work.validations * once

    yield Step(name="Reading the input", seconds=lambda rates: rates.elapsed, memory=held)
    yield from work.before
    yield Step(
        name=f"Training: {left:,} updates",
        seconds=None if work.on_gpu else update,
        memory=training,
        disk=copies * checkpoint,
        less=work.less,
    )
    yield Step(
        name=f"Validation: {round(share * work.validations):,} in all",
        seconds=None if work.on_gpu else validate,
        memory=training + work.validating,
        disk=copies * checkpoint,
    )
    yield Step(
        name="Writing the release",
        seconds=lambda rates: work.size / rates.write,
        memory=held + _IN_CHECKPOINT * work.numbers,
        disk=3 * checkpoint + work.size,
    )
    yield from work.after
