"""Encodes text into token ids, and writes and reads them in fairseq's binary format."""

import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
from fairseq.data.indexed_dataset import (
    MMapIndexedDataset,
    _code_to_dtype,
    _dtype_header_code,
    best_fitting_int_dtype,
)

from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import END, MASK, Vocabulary

SIZES = ".sizes"  # of the file with the size of each item, until the index is written
_MAGIC, _VERSION = b"MMIDIDX\0\0", 1
_HEADER = struct.Struct("<9sQBQ")  # of an index: magic, version, code of the integer type, number of texts
_SIZE_BYTES, _ITEMS_AT_ONCE = 4, 1 << 18


@dataclass(frozen=True)
class Encoder:
    """Encodes text into the ids of a fairseq dictionary. ids: the dictionary's id for each id of the tokenizer."""

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    ids: np.ndarray

    @classmethod
    def load(cls, directory: Path) -> "Encoder":
        """Read the encoder from a directory with ``dict.txt`` and the tokenizer's file. Raises FocusError."""
        dictionary, tokenizer_file = vocabulary_files(directory)
        tokenizer, vocabulary = load_tokenizer(tokenizer_file), read_dictionary(dictionary)
        return cls(tokenizer, vocabulary, piece_ids(tokenizer, vocabulary))

    def __call__(self, texts: list[str]) -> Iterator[np.ndarray]:
        """Yield the ids of each text, shape (tokens,), without special tokens."""
        for pieces in self.tokenizer.ids(texts):
            yield self.ids[np.array(pieces, dtype=np.int64)]

    def joined(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all texts, each followed by ``</s>``, one text after the other; and the size of each."""
        found = self.tokenizer.ids(texts)
        sizes = np.fromiter(map(len, found), np.int64, len(found))
        pieces = np.fromiter(chain.from_iterable(found), np.int64, int(sizes.sum()))
        ids = np.insert(self.ids[pieces], np.cumsum(sizes), self.end)
        return ids, sizes + 1

    @property
    def end(self) -> int:
        """The id of ``</s>``."""
        return self.vocabulary.ids[END]

    @property
    def dictionary_size(self) -> int:
        """The number of tokens with which fairseq-preprocess chooses the integer type of the stored ids."""
        return len(self.vocabulary) - (self.vocabulary.tokens[-1] == MASK)


class DatasetWriter:
    """Writes items, which are sequences of numbers, as fairseq-preprocess does, in constant memory.

    fairseq's own writer keeps the size of each item in memory until the end. ``data`` and ``sizes`` are at the end of
    what has been written to them before.
    """

    def __init__(self, data: IO[bytes], sizes: IO[bytes], dtype: np.dtype) -> None:
        self._data, self._sizes, self._dtype = data, sizes, dtype

    def saved(self) -> tuple[int, int]:
        """The bytes of both files, which are on the disk then, even if the machine fails."""
        for file in (self._data, self._sizes):
            file.flush()
            os.fsync(file.fileno())
        return self._data.tell(), self._sizes.tell()

    def add(self, numbers: np.ndarray, sizes: np.ndarray) -> None:
        """Append items: all their numbers, one item after the other, and how many each has."""
        self._data.write(numbers.astype(self._dtype).tobytes())
        self._sizes.write(sizes.astype(np.int32).tobytes())

    def write_index(self, index: IO[bytes]) -> None:
        """Write what the ``.idx`` file has: a header, the size of each item, and where in the data each begins."""
        count = self._sizes.tell() // _SIZE_BYTES
        index.write(_HEADER.pack(_MAGIC, _VERSION, _dtype_header_code(self._dtype), count))
        self._sizes.seek(0)
        shutil.copyfileobj(self._sizes, index)
        self._sizes.seek(0)
        start = 0
        while part := self._sizes.read(_SIZE_BYTES * _ITEMS_AT_ONCE):
            ends = start + np.cumsum(np.frombuffer(part, np.int32), dtype=np.int64)
            starts = np.concatenate([[start], ends[:-1]])
            index.write((starts * self._dtype.itemsize).tobytes())
            start = int(ends[-1])


@contextmanager
def writing_dataset(path: Path, dictionary_size: int, saved: tuple[int, int] = (0, 0)) -> Iterator[DatasetWriter]:
    """A writer of the ids of a dictionary in ``path.bin``; ``path.idx`` is written at the end of the block.

    ``saved``: how many bytes of ``path.bin`` and ``path.sizes``, which an earlier block has written, are kept, see
    ``DatasetWriter.saved``. ``path.sizes`` remains after the block.
    """
    with open(f"{path}.bin", "ab") as data, open(f"{path}{SIZES}", "a+b") as sizes:
        for file, size in zip((data, sizes), saved, strict=True):
            file.truncate(size)
            file.seek(size)
        writer = DatasetWriter(data, sizes, np.dtype(best_fitting_int_dtype(dictionary_size)))
        yield writer
        _write_index(writer, path)


@contextmanager
def writing_numbers(path: Path, dtype: type[np.generic]) -> Iterator[DatasetWriter]:
    """A writer of numbers of any type that fairseq's format has, in ``path.bin`` and ``path.idx``."""
    with open(f"{path}.bin", "wb") as data, tempfile.TemporaryFile(dir=path.parent) as sizes:
        writer = DatasetWriter(data, sizes, np.dtype(dtype))
        yield writer
        _write_index(writer, path)


def _write_index(writer: DatasetWriter, path: Path) -> None:
    with open(f"{path}.idx", "wb") as index:
        writer.write_index(index)


def read_dataset(path: Path, dictionary_size: int) -> np.ndarray:
    """The ids of all texts in ``path`` that are not empty, one after the other; shape (tokens,).

    Raises FocusError for damaged files, which fairseq reads as they are, and for ids beyond the dictionary.
    """
    _require_intact(path)
    dataset = MMapIndexedDataset(str(path))
    texts = (dataset[i].numpy() for i in np.flatnonzero(dataset.sizes > 1))
    ids: np.ndarray = np.concatenate([np.empty(0, np.int64), *texts])
    if len(ids) and not 0 <= ids.min() <= ids.max() < dictionary_size:
        raise FocusError(f"{path}.bin: has token ids beyond the dictionary beside it; prepare the data again.")
    return ids


def _require_intact(path: Path) -> None:
    """Raise FocusError unless ``path.idx`` describes all of ``path.bin``, as one text after the other."""
    index, data = existing_file(f"{path}.idx"), existing_file(f"{path}.bin")
    with open(index, "rb") as file:
        header = file.read(_HEADER.size).ljust(_HEADER.size, b"\0")
    magic, version, code, count = _HEADER.unpack(header)
    if (
        (magic, version) == (_MAGIC, _VERSION)
        and code in _code_to_dtype
        and index.stat().st_size == len(header) + 12 * count
    ):
        content = np.memmap(index, np.uint8, "r", offset=len(header)) if count else np.empty(0, np.uint8)
        sizes, starts = content[: 4 * count].view(np.int32), content[4 * count :].view(np.int64)
        ends = np.cumsum(sizes, dtype=np.int64) * np.dtype(_code_to_dtype[code]).itemsize
        whole = ends[-1] if count else 0
        in_order = np.array_equal(starts[1:], ends[:-1]) and not starts[:1].any()
        if in_order and not (sizes < 0).any() and whole == data.stat().st_size:
            return
    raise FocusError(f"{index}: damaged, or not the index of {data.name} beside it; prepare the data again.")
