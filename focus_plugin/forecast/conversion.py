"""The forecast of a conversion."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from focus_plugin.auxiliary.cache import cached_file
from focus_plugin.auxiliary.options import VectorInput
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.files import cache_directory
from focus_plugin.forecast.encoder import (
    FLOAT,
    Batch,
    forward_memory,
    forward_seconds,
    parameters,
)
from focus_plugin.forecast.forecast import Forecast, Step
from focus_plugin.forecast.machine import Rates, torch_process
from focus_plugin.forecast.method import MethodWork
from focus_plugin.forecast.text import cutting_seconds
from focus_plugin.forecast.vectors import vector_step
from focus_plugin.masked_lm.masking import PREDICTED_SHARE
from focus_plugin.mixing.declaration import Need
from focus_plugin.text import Text
from focus_plugin.transfer.apply import LARGEST_KEPT
from focus_plugin.transfer.calibration import SAMPLE_BYTES, SAMPLE_LENGTH, SAMPLES_AT_ONCE
from focus_plugin.transfer.options import ConversionOptions, Initialization, trains_vectors
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.overlap import overlap
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer

_OF_TOKEN = 320  # bytes of a token with its form and its id
_NAME, _WEIGHT, _SUPPORT = 21, 8, 18  # bytes of a token and of a weight in a mixing matrix; weights of a token
_PAGE, _LISTED, _DRAWN = 30_000, 14, 51  # bytes of the report, of each token in it, and more of one that is mixed
_LENGTHS_BYTES = 12_000_000  # of the lines whose tokens per word are counted


@dataclass(frozen=True, kw_only=True)
class ConversionWork:
    """The amount of work of a conversion.

    config: of the encoder. source, target: tokens before and after. new, shared: tokens of the language that are made
    and that are copied. dimension: of the vectors that tell which tokens are similar, 0 without. method: what makes the
    rows; None with ``--matrix``. training: of these vectors, unless they are there. text: the corpus, and tokenizer:
    how it is cut. calibrate: tokens of it that the model reads. beside: bytes of the dictionary and the tokenizer.
    """

    config: EncoderConfig
    source: int
    target: int
    new: int
    shared: int
    dimension: int
    method: MethodWork | None
    training: VectorTraining | None
    text: Text | None
    tokenizer: Tokenizer
    calibrate: int
    beside: int

    @property
    def size(self) -> int:
        """Bytes of the output."""
        mixed = self.new if self.dimension else 0
        matrix = _NAME * (self.source + self.target) + _WEIGHT * min(mixed * _SUPPORT, LARGEST_KEPT)
        report = _PAGE + _LISTED * self.target + _DRAWN * mixed
        return FLOAT * parameters(self.config, self.target) + self.beside + matrix + report


def conversion_work(
    what: ConversionOptions, how: Initialization, source: Checkpoint, corpus: str | None
) -> ConversionWork:
    """How much there is to do to convert ``source``; ``corpus``: the SHA-256 of the text, if there is one."""
    files, options = vocabulary_files(what.vocabulary), how.options
    language, tokenizer = read_dictionary(files[0]), load_tokenizer(files[1])
    shared = int(np.count_nonzero(overlap(source.vocabulary, language) >= 0))
    text = Text.of(*options.corpus) if options.corpus else None
    training = None
    if trains_vectors(how) and text and corpus:
        made_of = VectorInput(corpus=options.corpus, vocabulary=what.vocabulary, seed=options.seed)
        if not cached_file(made_of, corpus, how.vectors).is_file():
            training = VectorTraining(
                corpus=text,
                tokenizer=tokenizer,
                target=language,
                options=how.vectors,
                seed=options.seed,
                scratch=cache_directory(),
            )
    compares = Need.VECTORS in how.method.needs and not options.matrix
    dimension = how.vectors.dimension if compares else 0
    if compares and options.auxiliary and options.auxiliary.is_dir():
        dimension = read_checkpoint(options.auxiliary).config.width
    return ConversionWork(
        config=source.config,
        source=len(source.vocabulary),
        target=len(source.vocabulary) + len(language) - shared if what.extend else len(language),
        new=len(language) - shared,
        shared=shared,
        dimension=dimension,
        method=None if options.matrix else MethodWork(source, language, what.vocabulary, how),
        training=training,
        text=text,
        tokenizer=tokenizer,
        calibrate=options.calibrate if text else 0,
        beside=sum(path.stat().st_size for path in files),
    )


def conversion_forecast(work: ConversionWork, output: Path, device: str) -> Forecast:
    """The steps of a conversion whose rows are made on ``device``; of a GPU no time is forecast."""
    return Forecast(output=output, steps=tuple(_steps(work, device == "cpu")), size=work.size)


def _steps(work: ConversionWork, on_cpu: bool) -> Iterator[Step]:
    model = FLOAT * parameters(work.config, work.source)
    held = torch_process() + model + _OF_TOKEN * work.source
    rows = FLOAT * work.config.row_length * work.target * (2 if work.config.untied else 1)
    compared = FLOAT * (3 * work.dimension * (work.new + work.shared) + work.config.width * work.shared)
    batch = Batch(
        tokens=SAMPLES_AT_ONCE * SAMPLE_LENGTH,
        length=SAMPLE_LENGTH,
        predicted=int(PREDICTED_SHARE * SAMPLES_AT_ONCE * SAMPLE_LENGTH),
        rows=work.target,
    )

    def mixing(rates: Rates) -> float | None:
        made = work.method.seconds() if work.method else 0.0
        return None if made is None else made + 4 * rows / rates.copy

    def calibrating(_: Rates) -> float:
        assert work.text
        cut = cutting_seconds(work.text, work.tokenizer, min(work.text.content().bytes, SAMPLE_BYTES))
        return cut + forward_seconds(work.config, batch) * work.calibrate / batch.tokens

    def writing(rates: Rates) -> float:
        text = work.text
        counted = cutting_seconds(text, work.tokenizer, text.content().bytes + 2 * _LENGTHS_BYTES) if text else 0.0
        return float(counted + work.size / rates.write)

    yield Step(
        name="Reading the input",
        seconds=lambda rates: rates.elapsed,
        memory=held,
    )
    if work.training:
        yield vector_step(work.training, held)
    foreseen = on_cpu and (work.method is None or work.method.foreseeable)
    read = work.method.memory if work.method else 0
    yield Step(name="Making rows", seconds=mixing if foreseen else None, memory=held + rows + compared + read)
    if work.calibrate:
        yield Step(
            name="Fitting the output bias",
            seconds=calibrating if on_cpu else None,
            memory=held + rows + (forward_memory(work.config, batch) if on_cpu else 0),
        )
    yield Step(
        name="Writing encoder and report",
        seconds=writing,
        memory=held + rows + _OF_TOKEN * work.target,
        disk=work.size,
    )
