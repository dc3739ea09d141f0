"""Trains a SentencePiece vocabulary for one language, in the format of XLM-R's vocabulary."""

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
from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE, write_dictionary
from focus_plugin.vocabulary.options import UnigramTraining
from focus_plugin.vocabulary.readers import parse_sentencepiece
from focus_plugin.vocabulary.tokenizers import processor_tokenizer

LONGEST_SENTENCE = 1 << 24  # bytes; SentencePiece would leave out longer lines
TRAINER_THREADS = 16  # fixed, because rounding errors depend on the number of threads
# SentencePiece adds scores in 32 bits, Hugging Face's library in 64 bits. Sums of multiples of SCORE_STEP are exact in
# both up to 16384, so both choose the same cut of a text, even if several cuts have the same score.
SCORE_STEP = 1 / 1024
_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time


class SizeError(FocusError):
    """The text is too small for a vocabulary of this size."""


def train_vocabulary(
    text: Text, content: Content, size: int, options: UnigramTraining, output: Path, progress: Progress = silent
) -> CorpusCounts:
    """Train a unigram model of ``size`` pieces and write it with its ``dict.txt`` into the directory ``output``.

    ``content``: the content of ``text``. ``size`` includes ``<unk> <s> </s>``, as in SentencePiece; an encoder's
    vocabulary also has ``<pad>`` and ``<mask>``. The model is trained on a sample of a large text, to limit the memory
    needed (about 16 bytes for each byte of the sample). The counts in ``dict.txt`` are those of the whole text.
    ``progress`` is called with the number of bytes read since the last call; the text is read twice. Returns the
    counts. Raises FocusError for a text without words, and SizeError if the text is too small for the size.
    """
    trained = train_unigram(text, content, size, options, progress)
    tokenizer = processor_tokenizer(parse_sentencepiece(trained, text))
    pieces = tokenizer.tokens[3:]
    counts = count_pieces(text, tokenizer, progress)
    (output / SENTENCEPIECE).write_bytes(trained)
    write_dictionary(output / DICTIONARY, zip(pieces, counts.pieces[3:], strict=True))
    return counts


def train_unigram(
    text: Text,
    content: Content,
    size: int,
    options: UnigramTraining,
    progress: Progress = silent,
    may_be_smaller: bool = False,
) -> bytes:
    """Train a SentencePiece model and return its bytes. Parameters and errors are those of :func:`train_vocabulary`.

    ``may_be_smaller``: train fewer pieces instead of raising SizeError if the text cannot fill the size.
    """
    sentencepiece.set_random_generator_seed(options.seed)
    trained = io.BytesIO()
    failures: list[FocusError] = []
    lines = _keep_error(sample_lines(text, content, options.sample_bytes, options.seed, progress), failures)
    try:
        interruptible(
            lambda: sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=lines,
                model_writer=trained,  # a file name would be written into the model
                vocab_size=size,
                hard_vocab_limit=not may_be_smaller,
                model_type="unigram",
                normalization_rule_name="nmt_nfkc",
                character_coverage=0.9995,
                unk_id=0,
                bos_id=1,
                eos_id=2,
                pad_id=-1,
                max_sentence_length=LONGEST_SENTENCE,
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
    """The lines of ``text`` that are not empty, or a sample of about ``sample_bytes`` bytes if the text is larger.

    ``content``: the content of ``text``. ``seed``: the random seed of the sample. ``progress`` is called with the
    number of bytes read since the last call.
    """
    share = sample_bytes / max(content.bytes, 1)
    draw = random.Random(seed)
    for line in (part for whole in text.lines(progress) for part in cut_line(whole, LONGEST_SENTENCE // 4)):
        if line.strip() and (share >= 1 or draw.random() < share):
            yield line.replace("\x85", " ")  # white space for fairseq, but not for SentencePiece


def cut_line(line: str, longest: int) -> Iterator[str]:
    """``line`` in parts of at most ``longest`` characters, cut at a space where there is one."""
    start = 0
    while len(line) - start > longest:
        end = line.rfind(" ", start, start + longest) + 1 or start + longest
        yield line[start:end]
        start = end
    yield line[start:]


def _keep_error(lines: Iterator[str], failures: list[FocusError]) -> Iterator[str]:
    """Yield ``lines``; a FocusError is put into ``failures``, because it would be lost in SentencePiece's C++ code."""
    try:
        yield from lines
    except FocusError as error:
        failures.append(error)


def _failure(text: Text, size: int, message: str) -> FocusError:
    if found := re.search(r"Vocabulary size too high.*<= (\d+)", message):
        return SizeError(f"{text}: is too small for {size} pieces; give --size {found[1]} or less, or more text.")
    if found := re.search(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)", message):
        return FocusError(f"{text}: its characters alone need {found[1]} pieces; --size {size} is too small.")
    if "sentences_.empty()" in message:
        return FocusError(f"{text}: is empty; at least one line of text is needed.")
    return FocusError(f"{text}: SentencePiece could not train on it: {message}")
