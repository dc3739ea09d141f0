"""A SentencePiece vocabulary for one language, laid out as XLM-R lays out its own."""

import io
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, existing_file, read_lines, silent
from focus_plugin.interruptible import interruptible
from focus_plugin.vocabulary.encoding import CorpusCounts, count_pieces
from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE, write_dictionary
from focus_plugin.vocabulary.tokenizers import sentencepiece_tokenizer

LONGEST_LINE = 1 << 24  # bytes; SentencePiece leaves out what is longer
TRAINER_THREADS = 16  # a fixed number: sums of floats depend on how the sentences are dealt to the threads
# SentencePiece adds scores up in 32 bits, Hugging Face's library in 64. Sums of multiples of this are exact in both, up
# to 16384, so that they find the same best cut of a text and choose alike among equally good ones.
SCORE_STEP = 1 / 1024
_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time


def train_vocabulary(
    corpus: str | Path, size: int, output: Path, *, sample_bytes: int, seed: int, progress: Progress = silent
) -> CorpusCounts:
    """Train a unigram model of ``size`` pieces and write it with its ``dict.txt`` into the directory ``output``.

    ``size`` counts ``<unk> <s> </s>`` as SentencePiece does; the model's vocabulary has ``<pad>`` and ``<mask>``
    besides. Of a corpus over ``sample_bytes`` as many bytes of lines are drawn to train on, so memory is bounded
    (about 16 bytes each); the dictionary's counts are those of the whole corpus. Raises FocusError for an empty
    corpus and for a size it cannot fill.
    """
    model = output / SENTENCEPIECE
    _train_unigram(corpus, size, model, sample_bytes, seed, progress)
    tokenizer = sentencepiece_tokenizer(model)
    counts = count_pieces(corpus, tokenizer, progress)
    write_dictionary(output / DICTIONARY, list(zip(tokenizer.tokens, counts.pieces, strict=True))[3:], model)
    return counts


def _train_unigram(
    corpus: str | Path, size: int, model: Path, sample_bytes: int, seed: int, progress: Progress
) -> None:
    sentencepiece.set_random_generator_seed(seed)
    trained = io.BytesIO()
    failures: list[FocusError] = []
    lines = _keep_error(sample_lines(corpus, sample_bytes, seed, progress), failures)
    try:
        interruptible(
            lambda: sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=lines,
                model_writer=trained,  # a file name would end up in the model
                vocab_size=size,
                model_type="unigram",
                normalization_rule_name="nmt_nfkc",
                character_coverage=0.9995,
                unk_id=0,
                bos_id=1,
                eos_id=2,
                pad_id=-1,
                max_sentence_length=LONGEST_LINE,
                num_threads=TRAINER_THREADS,
                minloglevel=2,
            )
        )
    except (RuntimeError, OSError) as error:
        raise failures[0] if failures else _failure(corpus, size, str(error)) from error
    if failures:
        raise failures[0]
    model.write_bytes(_with_exact_scores(trained.getvalue()))


def _with_exact_scores(content: bytes) -> bytes:
    """The SentencePiece model ``content`` with scores that are multiples of SCORE_STEP."""
    model = _protobuf.ModelProto.FromString(content)
    for piece in model.pieces:
        piece.score = round(piece.score / SCORE_STEP) * SCORE_STEP
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def sample_lines(corpus: str | Path, sample_bytes: int, seed: int, progress: Progress = silent) -> Iterator[str]:
    """The lines of a text that are not empty, or of a larger text about ``sample_bytes`` of them, drawn by ``seed``."""
    share = sample_bytes / max(existing_file(corpus).stat().st_size, 1)
    draw = random.Random(seed)
    for line in (part for whole in read_lines(corpus, progress) for part in cut_line(whole, LONGEST_LINE // 4)):
        if line.strip() and (share >= 1 or draw.random() < share):
            yield line.replace("\x85", " ")  # white space to Python and so to fairseq, but not to SentencePiece


def cut_line(line: str, longest: int) -> Iterator[str]:
    """``line`` in parts of at most ``longest`` characters, cut at a space where there is one."""
    start = 0
    while len(line) - start > longest:
        end = line.rfind(" ", start, start + longest) + 1 or start + longest
        yield line[start:end]
        start = end
    yield line[start:]


def _keep_error(lines: Iterator[str], failures: list[FocusError]) -> Iterator[str]:
    """An exception does not pass through SentencePiece's C++; it is kept for whoever called."""
    try:
        yield from lines
    except FocusError as error:
        failures.append(error)


def _failure(corpus: str | Path, size: int, message: str) -> FocusError:
    if found := re.search(r"Vocabulary size too high.*<= (\d+)", message):
        return FocusError(f"{corpus}: cannot fill a vocabulary of {size} pieces; --size can be {found[1]} at most.")
    if found := re.search(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)", message):
        return FocusError(f"{corpus}: its characters alone need {found[1]} pieces; --size {size} is too small.")
    if "sentences_.empty()" in message:
        return FocusError(f"{corpus}: the corpus is empty; it needs at least one line of text.")
    return FocusError(f"{corpus}: SentencePiece could not train on it: {message}")
