"""Encodes text into token ids, and writes and reads them in fairseq's binary format."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder, best_fitting_int_dtype

from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import END, MASK, Vocabulary


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


def read_dataset(path: Path) -> np.ndarray:
    """The ids of all texts in ``path`` that are not empty, one after the other; shape (tokens,)."""
    dataset = MMapIndexedDataset(str(path))
    return np.concatenate([dataset[i].numpy() for i in np.flatnonzero(dataset.sizes > 1)])
