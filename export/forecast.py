"""The forecast of a run of predictions, which needs neither PyTorch nor fairseq."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from focus_plugin.cores import available_cores
from focus_plugin.errors import FocusError
from focus_plugin.forecast.forecast import Forecast, Step
from focus_plugin.forecast.machine import PLAIN_PROCESS, Rates, seconds_of

from .directory import ExportDirectory
from .formats import Format, ResultError
from .growing_file import Destination, texts_done
from .head import LENGTH, Encoded, RowHead, ServingHead, encoded_sample
from .pipeline import WINDOW_BATCHES
from .run_options import RunOptions
from .runtime import CPU_TOKEN_BUDGET, Predictor
from .stored_files import StoredFile
from .text_input import TextInput
from .tokenizer import text_tokenizer

_LINES, _BYTES = 500, 1 << 20  # of the input: lines to measure, and bytes to count lines in
_STATES = 120  # bytes in memory for each token of a batch and each number of a hidden state
_RUNTIME = 40_000_000  # bytes of ONNX Runtime with a model loaded, besides its weights
_PYARROW = 180_000_000  # bytes of its library and of a group of rows
_MODELS = 2  # copies of the weights in memory: ONNX Runtime arranges them in another order


@dataclass(frozen=True, kw_only=True)
class PredictionWork:
    """What to predict. output: None for standard output. form: of the results. parquet: whether this is Parquet."""

    export: ExportDirectory
    options: RunOptions
    inputs: Sequence[Path | StoredFile]
    output: Destination | None
    form: Format
    parquet: bool


def prediction_forecast(work: PredictionWork, load: Callable[[], Predictor]) -> Forecast:
    """The steps of a run. ``load`` loads the model in its first call; it is called only to measure times.

    Nothing is read from standard input and pipes, and the number of their texts is unknown. Raises FocusError if the
    output exists already.
    """
    texts = TextInput(work.inputs)
    lines, count = ([], None) if texts.bytes is None else _first_lines(texts, texts.bytes)
    count_left = None if count is None else max(0, count - (texts_done(work.output) if work.output else 0))
    size = None if count is None else round(count * _result_bytes(work, lines))
    held = PLAIN_PROCESS + _RUNTIME + _MODELS * _model_bytes(work.export)

    def loading(rates: Rates) -> float:
        before = time.perf_counter()
        load()
        return rates.elapsed + time.perf_counter() - before

    def predicting(rates: Rates) -> float | None:
        """Seconds for the texts that are left; None if their number is unknown."""
        if count_left is None or size is None:
            return None
        samples, predictor = list(_samples(work.export.config.head, lines)), load()
        once = seconds_of(lambda: list(predictor.predict(samples, texts.place)), 0)
        return once * count_left / max(1, len(lines)) + size / rates.write

    how_many = "an unknown number of texts" if count_left is None else f"about {count_left:,} texts"
    steps: tuple[Step, ...] = (
        Step(name="Loading the model", seconds=loading, memory=held),
        Step(
            name=f"Predicting {how_many}",
            seconds=predicting,
            memory=held + _batch_bytes(work),
            disk=size or 0,
            less="a smaller --token-budget needs less",
        ),
    )
    if work.parquet:
        steps += (
            Step(
                name="Writing Parquet",
                seconds=lambda rates: None if size is None else 3 * size / rates.write,
                memory=held + _PYARROW,
                disk=2 * (size or 0),
            ),
        )
    return Forecast(output=work.output.place if work.output else None, steps=steps, size=size)


def _first_lines(texts: TextInput, size: int) -> tuple[list[str], int]:
    """Some lines of the input, of ``size`` bytes, and about how many it has."""
    lines: list[str] = []
    read = taken = 0
    for line in texts:
        if len(lines) < _LINES:
            lines.append(line)
        taken += texts.size([read])
        read += 1
        if taken >= _BYTES:
            return lines, round(read * size / taken)
    return lines, read


def _model_bytes(export: ExportDirectory) -> int:
    return sum(export.model.with_name(name).stat().st_size for name in export.sha256)


def _batch_bytes(work: PredictionWork) -> int:
    """Bytes in memory of the batches that run at once, and of the results of two windows."""
    config, options = work.export.config, work.options
    budget = options.token_budget or CPU_TOKEN_BUDGET
    workers = options.workers or options.threads or available_cores()
    of_token = sum(
        4 * math.prod(int(size) for size in output.shape if size != LENGTH)
        for output in config.outputs
        if LENGTH in output.shape
    )
    return workers * budget * config.width * _STATES + 2 * WINDOW_BATCHES * budget * of_token


def _samples(head: ServingHead, lines: Sequence[str]) -> Iterator[Any]:
    """The samples on those lines that have one."""
    for line in lines:
        with suppress(FocusError):  # the run names the line
            yield head.sample(line)


def _result_bytes(work: PredictionWork, lines: Sequence[str]) -> float:
    """Bytes of a text's result in the format, on average, estimated by results of random outputs of the model."""
    config = work.export.config
    tokenizer = text_tokenizer(work.export.tokenizer, config.row_tokens)
    encoded = []
    for sample in _samples(config.head, lines):
        with suppress(FocusError):
            encoded.append(encoded_sample(config.head, tokenizer, sample, True))
    if not encoded:
        return 0.0
    random = np.random.default_rng(1)
    if isinstance(config.head, RowHead):
        results: Any = random.standard_normal((len(encoded), config.head.size(config.width)), np.float32)
    else:
        results = [_random_result(work, sample, random) for sample in encoded]
    try:
        return len(work.form.encode(1, results)) / len(encoded)
    except ResultError:  # the run names the line
        return 0.0


def _random_result(work: PredictionWork, sample: Encoded, random: np.random.Generator) -> Any:
    head, width = work.export.config.head, work.export.config.width
    outputs = [
        {
            output.name: random.standard_normal(
                [len(row) if size == LENGTH else int(size) for size in output.shape], np.float32
            )
            for output in head.outputs(width)
        }
        for row in sample.rows
    ]
    return head.result(sample, outputs)
