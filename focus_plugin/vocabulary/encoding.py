"""Encodes text into tokens, in batches and on all cores."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from focus_plugin.cores import available_cores
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.text import Text
from focus_plugin.vocabulary.tokenizers import Tokenizer
from focus_plugin.vocabulary.vocabulary import UNKNOWN

BATCH_LINES = 20_000
BATCH_CHARACTERS = 1 << 24
PART_LINES = 500  # lines of a batch that one thread encodes at once
T = TypeVar("T")
R = TypeVar("R")


def batches(
    lines: Iterable[T],
    length: Callable[[T], int] = len,  # type: ignore[assignment]
    most: int = BATCH_LINES,
) -> Iterator[list[T]]:
    """``lines`` in lists of at most ``most`` lines and about BATCH_CHARACTERS characters, to limit the memory used.

    ``length``: a function that returns the number of characters of a line. It is needed if lines are not strings.
    """
    batch: list[T] = []
    characters = 0
    for line in lines:
        batch.append(line)
        characters += length(line)
        if len(batch) == most or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


@dataclass(frozen=True)
class CorpusCounts:
    """Counts of a text.

    pieces: shape (ids of the tokenizer,), how often each piece occurs. unknown: how many of the pieces are ``<unk>``.
    words: the number of words, separated by white space. lines: the number of lines that are not empty.
    """

    pieces: np.ndarray
    unknown: int
    words: int
    lines: int

    @property
    def tokens_per_word(self) -> float:
        """The mean number of tokens per word, called fertility."""
        return float(self.pieces.sum() / self.words)


def in_background(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The results of ``work`` for all items, in order; while one is used, the next is made in another thread."""
    with ThreadPoolExecutor(1) as thread:
        waiting: Future[R] | None = None
        for item in items:
            following = thread.submit(work, item)
            if waiting:
                yield waiting.result()
            waiting = following
        if waiting:
            yield waiting.result()


def count_pieces(text: Text, tokenizer: Tokenizer, progress: Progress = silent) -> CorpusCounts:
    """Encode a text and count its pieces. Raises FocusError for a text without words."""
    pieces = np.zeros(len(tokenizer.tokens), dtype=np.int64)
    words = lines = 0
    for batch in batches(text.lines(progress)):
        ids = np.fromiter(chain.from_iterable(tokenizer.ids(batch)), dtype=np.int64)
        pieces += np.bincount(ids, minlength=len(pieces))
        words += sum(len(line.split()) for line in batch)
        lines += sum(1 for line in batch if line.strip())
    if not words:
        raise FocusError(f"{text}: is empty; at least one line of text is needed.")
    unknown = sum(int(pieces[i]) for i in _unknown_ids(tokenizer))
    return CorpusCounts(pieces, unknown, words, lines)


@dataclass(frozen=True)
class EncodedLength:
    """tokens_per_word: the mean number, 0 for a text without words, which white space separates. unknown: the share of
    the tokens that are ``<unk>``."""

    tokens_per_word: float
    unknown: float


def encoded_length(lines: Iterable[str], tokenizer: Tokenizer) -> EncodedLength:
    """How long a text becomes in a tokenizer, and how much of it is lost."""
    of_unknown = set(_unknown_ids(tokenizer))
    tokens = words = unknown = 0
    for batch in batches(lines):
        for ids in tokenizer.ids(batch):
            tokens += len(ids)
            unknown += sum(map(of_unknown.__contains__, ids))
        words += sum(len(line.split()) for line in batch)
    return EncodedLength(tokens / max(words, 1), unknown / max(tokens, 1))


def _unknown_ids(tokenizer: Tokenizer) -> list[int]:
    return [i for i, token in enumerate(tokenizer.tokens) if token == UNKNOWN]


def write_pieces(lines: Iterable[str], tokenizer: Tokenizer, output: Path) -> None:
    """Write the pieces of each line, separated by spaces, on a line of ``output``. fastText trains on such a file."""

    def encoded(lines: list[str]) -> bytes:
        return b"".join([b" ".join(line) + b"\n" for line in tokenizer.pieces(lines) if line])

    # With the tokenizer's own threads, most cores would be idle while the pieces are joined and written.
    with open(output, "wb") as file, ThreadPoolExecutor(available_cores()) as threads:
        for batch in batches(lines):
            parts = (batch[i : i + PART_LINES] for i in range(0, len(batch), PART_LINES))
            file.writelines(threads.map(encoded, parts))
