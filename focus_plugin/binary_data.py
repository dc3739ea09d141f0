"""Encodes text into token ids, and writes and reads them in fairseq's binary format."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fairseq.data.indexed_dataset import (
    MMapIndexedDataset,
    MMapIndexedDatasetBuilder,
    _code_to_dtype,
    best_fitting_int_dtype,
)

from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import END, MASK, Vocabulary

_MAGIC = b"MMIDIDX\0\0"
_HEADER = struct.Struct("<9sQBQ")  # of an index: magic, version, code of the integer type, number of texts


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

    @property
    def end(self) -> int:
        """The id of ``</s>``."""
        return self.vocabulary.ids[END]

    @property
    def dictionary_size(self) -> int:
        """The number of tokens with which fairseq-preprocess chooses the integer type of the stored ids."""
        return len(self.vocabulary) - (self.vocabulary.tokens[-1] == MASK)


@contextmanager
def writing_dataset(path: Path, dictionary_size: int) -> Iterator[MMapIndexedDatasetBuilder]:
    """fairseq's writer of ``path.bin``; ``path.idx`` is written at the end of the block."""
    with writing_numbers(path, best_fitting_int_dtype(dictionary_size)) as builder:
        yield builder


@contextmanager
def writing_numbers(path: Path, dtype: type[np.generic]) -> Iterator[MMapIndexedDatasetBuilder]:
    """The same for numbers of any type that fairseq's format has."""
    builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=dtype)
    yield builder
    builder.finalize(f"{path}.idx")


def add_item(dataset: MMapIndexedDatasetBuilder, ids: np.ndarray, end: int) -> None:
    """Append one text: its ids, shape (tokens,), and ``end``, the id of ``</s>``."""
    dataset.add_item(torch.from_numpy(np.append(ids, end)))


def read_dataset(path: Path, dictionary_size: int) -> np.ndarray:
    """The ids of all texts in ``path`` that are not empty, one after the other; shape (tokens,).

    Raises FocusError for damaged files, which fairseq reads as they are, and for ids beyond the dictionary.
    """
    _require_intact(path)
    dataset = MMapIndexedDataset(str(path))
    ids = np.concatenate([np.empty(0, np.int64), *(dataset[i].numpy() for i in np.flatnonzero(dataset.sizes > 1))])
    if len(ids) and not 0 <= ids.min() <= ids.max() < dictionary_size:
        raise FocusError(f"{path}.bin: has token ids beyond the dictionary beside it; prepare the data again.")
    return ids


def _require_intact(path: Path) -> None:
    """Raise FocusError unless ``path.idx`` describes all of ``path.bin``, as one text after the other."""
    index, data = existing_file(f"{path}.idx"), existing_file(f"{path}.bin")
    with open(index, "rb") as file:
        header = file.read(_HEADER.size).ljust(_HEADER.size, b"\0")
    magic, version, code, count = _HEADER.unpack(header)
    if (magic, version) == (_MAGIC, 1) and code in _code_to_dtype and index.stat().st_size == len(header) + 12 * count:
        content = np.memmap(index, np.uint8, "r", offset=len(header)) if count else np.empty(0, np.uint8)
        sizes, starts = content[: 4 * count].view(np.int32), content[4 * count :].view(np.int64)
        ends = np.cumsum(sizes, dtype=np.int64) * np.dtype(_code_to_dtype[code]).itemsize
        whole = ends[-1] if count else 0
        in_order = np.array_equal(starts[1:], ends[:-1]) and not starts[:1].any()
        if in_order and not (sizes < 0).any() and whole == data.stat().st_size:
            return
    raise FocusError(f"{index}: damaged, or not the index of {data.name} beside it; prepare the data again.")
