"""The forecast of the training of auxiliary embeddings."""

import tempfile
from dataclasses import replace
from pathlib import Path

from focus_plugin.auxiliary.options import FASTTEXT
from focus_plugin.auxiliary.trainers import train_vectors
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.forecast.forecast import Forecast, Step
from focus_plugin.forecast.machine import PLAIN_PROCESS
from focus_plugin.forecast.text import extrapolated_seconds, text_of
from focus_plugin.progress import no_phase

_FLOAT = 4
_SCIPY = 75_000_000  # bytes of a process for what it imports besides
_FASTTEXT = 260_000_000  # bytes of fastText's tables of a fixed size and of a batch of text
_BYTES_OF_TOKEN = 4
_BUCKETS = 2_000_000  # of fastText's n-grams
_NGRAMS = 40  # of a token, at most, on average
_COUNTED = 1 << 22  # tokens whose neighbours are counted at a time


def auxiliary_forecast(training: VectorTraining, output: Path, model: bool, cached: bool) -> Forecast:
    """Auxiliary embeddings in a file: fastText's whole ``model``, or those of the tokens, which may be in the cache."""
    held, (_, size) = PLAIN_PROCESS + _SCIPY, vector_disk(training)
    if model:
        size = _FLOAT * training.options.dimension * (2 * len(training.target) + _BUCKETS)
    steps = [Step(name="Reading the input", seconds=lambda rates: rates.elapsed, memory=held)]
    if not cached:
        steps.append(vector_step(training, held))
    steps.append(
        Step(
            name="Writing the embeddings",
            seconds=lambda rates: size / rates.write,
            memory=held + 2 * vector_disk(training)[1],
            disk=size,
        )
    )
    return Forecast(output=output, steps=tuple(steps), size=size)


def vector_step(training: VectorTraining, held: int) -> Step:
    """The training, in a process that holds ``held`` bytes besides."""
    return Step(
        name="Training auxiliary embeddings",
        seconds=lambda _: vector_seconds(training),
        memory=held + vector_memory(training),
        elsewhere=((training.scratch, sum(vector_disk(training))),),
        less="a smaller --sample-mb or --dim needs less",
    )


def vector_memory(training: VectorTraining) -> int:
    """Peak memory of the trainer in bytes."""
    options, read, tokens = training.options, trained_bytes(training) / _BYTES_OF_TOKEN, len(training.target)
    if options.trainer == FASTTEXT:
        return _FASTTEXT + _FLOAT * options.dimension * (2 * tokens + min(_BUCKETS, _NGRAMS * tokens))
    pairs = 6 * read**0.8  # of neighbours that differ, as in text of three languages
    matrices = 10 * _FLOAT * tokens * (options.dimension + 20)
    return int(matrices + 96 * pairs + 150 * min(read, _COUNTED))


def vector_disk(training: VectorTraining) -> tuple[int, int]:
    """Bytes of temporary files, and of the vectors that are kept."""
    scratch = int(1.5 * trained_bytes(training)) if training.options.trainer == FASTTEXT else 0
    return scratch, len(training.target) * (_FLOAT * training.options.dimension + 20)


def vector_seconds(training: VectorTraining) -> float | None:
    """Seconds of the training, from trainings on the first lines of the text in the system's temporary directory."""
    options = replace(training.options, minimum_count=1)

    def work(lines: list[str]) -> None:
        with text_of(lines) as part, tempfile.TemporaryDirectory() as scratch:
            job = replace(training, corpus=part, options=options, scratch=Path(scratch), verbose=False)
            train_vectors(job, no_phase)

    return extrapolated_seconds(training.corpus, trained_bytes(training), work)


def trained_bytes(training: VectorTraining) -> float:
    """Bytes of the text, or of the sample of it, that vectors are trained on."""
    return min(training.corpus.content().bytes, training.options.sample_bytes)
