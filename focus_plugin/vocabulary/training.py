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
from focus_plugin.files import Progress, silent
from focus_plugin.interruptible import interruptible
from focus_plugin.text import Content, Text
from focus_plugin.vocabulary.encoding import CorpusCounts, count_pieces
from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE, require_storable, write_dictionary
from focus_plugin.vocabulary.options import UnigramTraining
from focus_plugin.vocabulary.readers import parse_sentencepiece
from focus_plugin.vocabulary.tokenizers import processor_tokenizer

LONGEST_LINE = 1 << 24  # bytes; SentencePiece leaves out what is longer
TRAINER_THREADS = 16  # a fixed number: sums of floats depend on how the sentences are dealt to the threads
# SentencePiece adds scores up in 32 bits, Hugging Face's library in 64. Sums of multiples of this are exact in both, up
# to 16384, so that they find the same best cut of a text and choose alike among equally good ones.
SCORE_STEP = 1 / 1024
_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time


class SizeError(FocusError):
    """The text cannot fill a vocabulary of this size."""


def train_vocabulary(
    text: Text, content: Content, size: int, options: UnigramTraining, output: Path, progress: Progress = silent
) -> CorpusCounts:
    """Train a unigram model of ``size`` pieces and write it with its ``dict.txt`` into the directory ``output``.

    ``content`` is what ``text`` holds. ``size`` counts ``<unk> <s> </s>`` as SentencePiece does; the model's vocabulary
    has ``<pad>`` and ``<mask>`` besides. Lines are drawn from a text that is larger than the sample, so that memory is
    bounded (about 16 bytes for each byte of it); the dictionary's counts are those of the whole text. ``progress`` is
    called with the bytes read, twice those of the text. Raises FocusError for a text without words and for a size that
    it cannot fill.
    """
    trained = train_unigram(text, content, size, options, progress)
    tokenizer = processor_tokenizer(parse_sentencepiece(trained, text))
    pieces = tokenizer.tokens[3:]
    require_storable(pieces, text)
    counts = count_pieces(text, tokenizer, progress)
    (output / SENTENCEPIECE).write_bytes(trained)
    write_dictionary(output / DICTIONARY, zip(pieces, counts.pieces[3:], strict=True))
    return counts


def train_unigram(
    text: Text, content: Content, size: int, options: UnigramTraining, progress: Progress = silent
) -> bytes:
    """Train a SentencePiece model; see :func:`train_vocabulary`, which also counts its pieces."""
    sentencepiece.set_random_generator_seed(options.seed)
    trained = io.BytesIO()
    failures: list[FocusError] = []
    lines = _keep_error(sample_lines(text, content, options.sample_bytes, options.seed, progress), failures)
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
        raise failures[0] if failures else _failure(text, size, str(error)) from error
    if failures:
        raise failures[0]
    return _with_exact_scores(trained.getvalue())


def _with_exact_scores(content: bytes) -> bytes:
    """The SentencePiece model ``content`` with scores that are multiples of SCORE_STEP."""
    model = _protobuf.ModelProto.FromString(content)
    for piece in model.pieces:
        piece.score = round(piece.score / SCORE_STEP) * SCORE_STEP
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def sample_lines(
    text: Text, content: Content, sample_bytes: float, seed: int, progress: Progress = silent
) -> Iterator[str]:
    """The lines of ``text`` that are not empty, or, if it is larger, about ``sample_bytes`` of them, drawn by ``seed``.

    ``content`` is what ``text`` holds.
    """
    share = sample_bytes / max(content.bytes, 1)
    draw = random.Random(seed)
    for line in (part for whole in text.lines(progress) for part in cut_line(whole, LONGEST_LINE // 4)):
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


def _failure(text: Text, size: int, message: str) -> FocusError:
    if found := re.search(r"Vocabulary size too high.*<= (\d+)", message):
        return SizeError(f"{text}: cannot fill a vocabulary of {size} pieces; --size can be {found[1]} at most.")
    if found := re.search(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)", message):
        return FocusError(f"{text}: its characters alone need {found[1]} pieces; --size {size} is too small.")
    if "sentences_.empty()" in message:
        return FocusError(f"{text}: is empty; at least one line of text is needed.")
    return FocusError(f"{text}: SentencePiece could not train on it: {message}")
