"""The forecast of a fine-tuning, for any task."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.finetuning.declaration import Example
from focus_plugin.forecast.encoder import FLOAT, Batch, forward_memory, forward_seconds, parameters
from focus_plugin.forecast.forecast import Step
from focus_plugin.forecast.machine import fairseq_process, seconds_of
from focus_plugin.forecast.training import TrainingWork
from focus_plugin.vocabulary.tokenizers import Tokenizer

_TOKENIZED = 2000  # examples of a table
_VALIDATED = 2  # times that a validation reads its table: for the loss and for the metrics
_VALIDATING = 350_000_000  # bytes: the tokenizer, and what PyTorch keeps for each shape of a batch
_IN_DATA = 24  # bytes of a token and of what is expected of it, in the data that fairseq reads


@dataclass(frozen=True, kw_only=True)
class TableAmount:
    """The size of a table.

    samples: all of them. lengths: tokens of each of the first ones, ``<s>`` and ``</s>`` included, ascending. seconds:
    to cut these into tokens.
    """

    samples: int
    lengths: tuple[int, ...]
    seconds: float

    @property
    def tokens(self) -> float:
        """The tokens of all samples."""
        return self.samples * sum(self.lengths) / max(1, len(self.lengths))

    def longest(self, count: int) -> int:
        """About how long the longest of ``count`` random samples is."""
        return self.lengths[min(len(self.lengths) - 1, len(self.lengths) * count // (count + 1))]


def table_amount(examples: Iterable[Example], tokenizer: Tokenizer, max_positions: int) -> TableAmount:
    """Count the examples of a table, which has at least one, and the tokens of the first ones."""
    every = iter(examples)
    first = list(islice(every, _TOKENIZED))
    texts = [_text(example.sample) for example in first]
    lengths = sorted(min(max_positions, len(ids) + 2) for ids in tokenizer.ids(texts))
    samples = len(first) + sum(1 for _ in every)
    seconds = seconds_of(lambda: tokenizer.ids(texts), 0) * samples / len(first)
    return TableAmount(samples=samples, lengths=tuple(lengths), seconds=seconds)


def _text(sample: object) -> str:
    return " ".join(map(str, sample)) if isinstance(sample, tuple) else str(sample)


@dataclass(frozen=True, kw_only=True)
class FinetuningSchedule:
    """batch_size: samples of an update, over all devices. device_size: those on one device at once. accumulate: batches
    whose gradients make one update. epochs: passes over the training table. updates: at most; None for no limit."""

    batch_size: int
    device_size: int
    accumulate: int
    epochs: int
    updates: int | None
    on_gpu: bool


def finetuning_work(
    config: EncoderConfig, rows: int, tables: Mapping[str, TableAmount], schedule: FinetuningSchedule, beside: int
) -> TrainingWork:
    """The work of a training on ``tables``, by the names of their splits, of an encoder with ``rows`` embeddings.

    The head is taken to have one square matrix. beside: bytes of the files beside the released model.
    """
    train, others = tables["train"], [amount for split, amount in tables.items() if split != "train"]
    device_size = min(schedule.device_size, train.samples)
    batch, largest = (
        Batch(tokens=device_size * length, length=length) for length in (train.longest(device_size), train.lengths[-1])
    )
    an_epoch = math.ceil(train.samples / schedule.batch_size)
    updates = min(schedule.epochs * an_epoch, schedule.updates or math.inf)
    evaluated = sum(amount.tokens for amount in others)
    whole = Batch(tokens=math.ceil(evaluated), length=max(amount.longest(1) for amount in others))
    model = FLOAT * parameters(config, rows)
    encoding = Step(
        name="Encoding the tables",
        seconds=lambda _: sum(amount.seconds for amount in tables.values()),
        memory=fairseq_process() + model,
        disk=int(_IN_DATA * sum(amount.tokens for amount in tables.values())),
    )
    evaluating = Step(
        name="Evaluating the release",
        seconds=None if schedule.on_gpu else lambda _: forward_seconds(config, whole),
        memory=fairseq_process() + 4 * model + forward_memory(config, largest),
    )
    return TrainingWork(
        config=config,
        rows=rows,
        batch=batch,
        largest=largest,
        accumulate=schedule.accumulate,
        updates=int(updates),
        validations=math.ceil(updates / an_epoch),
        validated=_VALIDATED * math.ceil(tables["valid"].tokens),
        beside=beside,
        head=(config.width + 1) * config.width,
        on_gpu=schedule.on_gpu,
        less="a smaller --batch-size needs less",
        validating=_VALIDATING,
        before=(encoding,),
        after=(evaluating,),
    )
