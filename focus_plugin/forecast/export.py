"""The forecast of an export: as an ONNX graph, which is verified, or for transformers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.forecast.encoder import FLOAT, Batch, forward_memory, forward_seconds, parameters
from focus_plugin.forecast.forecast import Forecast, Step
from focus_plugin.forecast.machine import Rates, fairseq_process, torch_process
from focus_plugin.forecast.text import cutting_seconds
from focus_plugin.text import Text
from focus_plugin.vocabulary.tokenizers import load_tokenizer

_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}  # of a weight
_TOKEN = 60  # bytes of a token in tokenizer.json
_GRAPH = 300_000  # bytes of the nodes of the graph and of config.json
_VERIFIED = 16  # texts of the greatest length, about, that the graph and PyTorch are compared on
_WORKSPACE = 120_000_000  # bytes of PyTorch and ONNX Runtime for products of matrices


@dataclass(frozen=True, kw_only=True)
class ExportWork:
    """How much there is to export.

    config, tokens: of the encoder. tokenizer: its file. head: bytes of the tensors of its head.
    """

    config: EncoderConfig
    tokens: int
    tokenizer: Path
    head: int

    @property
    def model(self) -> int:
        """Bytes of the weights in float32."""
        return FLOAT * parameters(self.config, self.tokens) + self.head

    @property
    def beside(self) -> int:
        """Bytes of the tokenizer and its table of token ids."""
        return self.tokenizer.stat().st_size + FLOAT * self.tokens

    def served(self, precision: str) -> int:
        """Bytes of an export with all tokens; in int8 each of their embeddings has a scale in float32."""
        scales = FLOAT * self.tokens if precision == "int8" else 0
        return self.model * _BYTES[precision] // FLOAT + scales + self.beside + _GRAPH


@dataclass(frozen=True, kw_only=True)
class Judging:
    """How much there is to do to judge an export of less precision or fewer tokens.

    precision: of the export. tokens: of the examples that it is judged on. exports: that are judged. fewer_tokens:
    whether tokens are left out.
    """

    precision: str
    tokens: int
    exports: int
    fewer_tokens: bool


def onnx_forecast(work: ExportWork, counted: Text | None, judging: Judging | None, output: Path) -> Forecast:
    """An export as an ONNX graph; ``counted``: the text whose tokens are kept, which may be fewer than all."""
    size = work.served(judging.precision if judging else "fp32")
    return Forecast(output=output, steps=tuple(_steps(work, counted, judging)), size=size)


def _steps(work: ExportWork, counted: Text | None, judging: Judging | None) -> Iterator[Step]:
    longest, exact = work.config.max_positions, work.served("fp32")
    held = fairseq_process() + 2 * work.model
    verified = Batch(tokens=_VERIFIED * longest, length=longest)

    def verifying(rates: Rates) -> float:
        computing = 2 * forward_seconds(work.config, verified)  # in PyTorch and in ONNX Runtime
        return rates.elapsed + computing + 2 * exact / rates.write + 8 * exact / rates.copy  # fairseq is imported

    yield Step(name="Reading the input", seconds=lambda rates: rates.elapsed, memory=held)
    if counted:
        yield Step(
            name="Counting tokens",
            seconds=lambda _: cutting_seconds(counted, load_tokenizer(work.tokenizer), counted.content().bytes),
            memory=held,
        )
    computing = _WORKSPACE + forward_memory(work.config, verified)
    yield Step(
        name="Writing and verifying",
        seconds=verifying,
        memory=held + 3 * exact + computing,
        disk=exact,
    )
    if judging:
        judged = Batch(tokens=judging.tokens, length=min(longest, judging.tokens))
        reduced = judging.exports * work.served(judging.precision)
        whole = exact if judging.fewer_tokens else 0
        ranges = exact if judging.precision == "fp16" or judging.exports > 1 else 0  # a copy, before reduced ones
        yield Step(
            name="Judging",
            seconds=lambda rates: (
                (1 + judging.exports) * forward_seconds(work.config, judged) + (whole + reduced) / rates.write
            ),
            memory=held + 3 * exact + computing,
            disk=exact + whole + max(reduced, ranges),
        )


def huggingface_forecast(work: ExportWork, output: Path) -> Forecast:
    """An export for transformers."""
    size = work.model + work.tokenizer.stat().st_size + _TOKEN * work.tokens
    held = torch_process() + work.model
    return Forecast(
        output=output,
        steps=(
            Step(name="Reading the input", seconds=lambda rates: rates.elapsed, memory=held),
            Step(
                name="Writing the model",
                seconds=lambda rates: size / rates.write + 2 * size / rates.copy,
                memory=held + work.model + 10 * _TOKEN * work.tokens,
                disk=size,
            ),
        ),
        size=size,
    )
