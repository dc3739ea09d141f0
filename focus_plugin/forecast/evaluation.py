"""The forecast of an evaluation: of the masked-LM loss of an encoder, or of the metrics of a model on a table."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.finetuning.declaration import Example, TaskHead
from focus_plugin.finetuning.evaluation import Predict, table_results
from focus_plugin.forecast.encoder import FLOAT, Batch, forward_memory, forward_seconds, parameters
from focus_plugin.forecast.forecast import Forecast, Step
from focus_plugin.forecast.machine import Rates, fairseq_process, seconds_of
from focus_plugin.masked_lm.masking import PREDICTED_SHARE
from focus_plugin.progress import no_phase
from focus_plugin.text import Text

_WORKSPACE = 110_000_000  # bytes that PyTorch holds for products of matrices
_MEASURED = 100  # samples of a table
_COPIES = 4  # of a model in memory, at most: read, checked, and arranged for its products
_OF_TOKEN = 40  # bytes in memory: its ids, and the draw of what is predicted


@dataclass(frozen=True, kw_only=True)
class EvaluationWork:
    """How much there is to evaluate.

    rows: of the embedding. tokens: of the text. length: of a sample. batch_tokens: that the encoder reads at once.
    predictions: for which the head computes logits at once. on_gpu: whether a GPU does, whose time is unknown.
    """

    config: EncoderConfig
    rows: int
    tokens: int
    length: int
    batch_tokens: int
    predictions: int
    on_gpu: bool


def evaluation_forecast(work: EvaluationWork) -> Forecast:
    """The steps of an evaluation."""
    tokens = min(work.tokens, max(work.length, work.batch_tokens))
    held = fairseq_process() + _WORKSPACE + FLOAT * parameters(work.config, work.rows) + _OF_TOKEN * work.tokens
    timed = Batch(tokens=tokens, length=work.length, predicted=round(PREDICTED_SHARE * tokens), rows=work.rows)
    stored = Batch(tokens=tokens, length=work.length, predicted=work.predictions, rows=work.rows)
    evaluating = Step(
        name="Evaluating",
        seconds=None if work.on_gpu else lambda _: forward_seconds(work.config, timed) * work.tokens / tokens,
        memory=held + (0 if work.on_gpu else forward_memory(work.config, stored)),
    )
    reading = Step(name="Reading encoder and text", seconds=lambda rates: rates.elapsed, memory=held)
    return Forecast(output=None, steps=(reading, evaluating))


def table_forecast(
    task: TaskHead, examples: Sequence[Example], table: Text, model: int, load: Callable[[], Predict]
) -> Forecast:
    """The evaluation of a model of ``model`` bytes on the examples of a table.

    ``load`` loads the model the first time and gives its results; it is called only to measure times.
    """
    memory = fairseq_process() + _WORKSPACE + _COPIES * model

    def loading(rates: Rates) -> float:
        before = time.perf_counter()
        load()
        return rates.elapsed + time.perf_counter() - before

    def evaluating(_: Rates) -> float:
        first, predict = examples[:_MEASURED], load()
        return seconds_of(lambda: table_results(task, predict, first, table, no_phase), 0) * len(examples) / len(first)

    return Forecast(
        output=None,
        steps=(
            Step(name="Reading model and table", seconds=loading, memory=memory),
            Step(name=f"Evaluating {len(examples):,} samples", seconds=evaluating, memory=memory),
        ),
    )
