"""What training auxiliary embeddings takes."""

import tempfile
from dataclasses import replace
from pathlib import Path

from focus_plugin.auxiliary.options import FASTTEXT
from focus_plugin.auxiliary.trainers import train_vectors
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.forecast.text import extrapolated_seconds
from focus_plugin.progress import no_phase
from focus_plugin.text import Text

_FLOAT = 4
_BYTES_OF_TOKEN = 4
_BUCKETS = 2_000_000  # of fastText's n-grams
_NGRAMS = 40  # of a token, at most, on average
_COUNTED = 1 << 22  # tokens whose neighbours are counted at a time


def vector_memory(training: VectorTraining, tokens: int) -> int:
    """Bytes that the trainer holds, for a vocabulary of ``tokens`` tokens."""
    options, read = training.options, trained_bytes(training) / _BYTES_OF_TOKEN
    if options.trainer == FASTTEXT:
        return _FLOAT * options.dimension * (2 * tokens + min(_BUCKETS, _NGRAMS * tokens))
    pairs = 6 * read**0.8  # of neighbours that differ, as in text of three languages
    matrices = 8 * _FLOAT * tokens * (options.dimension + 20)
    return int(matrices + 64 * pairs + 100 * min(read, _COUNTED))


def vector_disk(training: VectorTraining, tokens: int) -> tuple[int, int]:
    """Bytes of temporary files, and of the vectors that are kept, for a vocabulary of ``tokens`` tokens."""
    scratch = int(1.5 * trained_bytes(training)) if training.options.trainer == FASTTEXT else 0
    return scratch, tokens * (_FLOAT * training.options.dimension + 20)


def vector_seconds(training: VectorTraining) -> float:
    """Seconds of the training, from trainings on the first lines of the text in the system's temporary directory."""
    options = replace(training.options, minimum_count=1)

    def work(lines: list[str]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            (part := Path(scratch) / "text").write_text("\n".join(lines), encoding="utf-8")
            job = replace(training, corpus=Text.of(part), options=options, scratch=Path(scratch), verbose=False)
            train_vectors(job, no_phase)

    return extrapolated_seconds(training.corpus, trained_bytes(training), work)


def trained_bytes(training: VectorTraining) -> float:
    """Bytes of the text, or of the sample of it, that vectors are trained on."""
    sample = training.options.sample_mb * 1_000_000
    return min(training.corpus.bytes, sample) if sample else training.corpus.bytes
