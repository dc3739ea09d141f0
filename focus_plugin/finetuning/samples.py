"""Training samples of tasks that declare a loss: rows of token ids, and expected numbers.

They are in the files ``SPLIT.rows.bin`` and ``SPLIT.expected.bin`` of fairseq's format, beside ``dict.txt``. fairseq
converts whatever it reads to int64; so the second file holds the bits of floats as integers.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset, data_utils
from fairseq.data.indexed_dataset import MMapIndexedDataset
from focus_export.head import Encoded, Encodes, encoded_sample
from torch import Tensor

from focus_plugin.binary_data import writing_numbers
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Example, Preparation
from focus_plugin.vocabulary.files import DICTIONARY

IGNORED = -100  # a number that the loss must ignore, as torch's losses do
_GROUP = 1024  # samples that are sorted by length together, but at most a quarter of them, to mix a small table, too


@dataclass(frozen=True)
class TrainingSample:
    """One sample.

    rows: rows of token ids for the model, int (length,) each; all samples have the same number of rows.
    expected: (any,), at least one number, such as a class for each token of the row, with IGNORED for some.
    """

    rows: Sequence[np.ndarray]
    expected: np.ndarray


def write_samples(
    given: Preparation, split: str, head: Encodes, samples: Callable[[Example, Encoded], Iterable[TrainingSample]]
) -> int:
    """Write the samples that ``samples`` makes from each example of a table; returns their number.

    The head encodes the examples in the same way as for predictions. Raises FocusError, with file and line, for an
    example that it cannot encode.
    """
    count = 0
    shutil.copyfile(given.model / DICTIONARY, given.directory / DICTIONARY)
    with ExitStack() as stack:
        rows = stack.enter_context(writing_numbers(given.directory / f"{split}.rows", np.int32))
        expected = stack.enter_context(writing_numbers(given.directory / f"{split}.expected", np.int64))
        for example in given.examples(given.tables[split], doing="Encoding"):
            try:
                encoded = encoded_sample(head, given.tokenizer, example.sample, given.options.truncate)
            except FocusError as error:
                raise FocusError(f"{example.place}: {error}") from error
            for sample in samples(example, encoded):
                for row in sample.rows:
                    rows.add(row, np.array([len(row)]))
                numbers = sample.expected.astype(np.float64).view(np.int64)
                expected.add(numbers, np.array([len(numbers)]))
                count += 1
    return count


class TrainingSamples(FairseqDataset):
    """The samples of a split, in an order that depends only on ``seed`` and the epoch, for validation only on ``seed``.

    Random groups of samples are sorted by length, so that batches have little padding. pad: id of the padding.
    """

    def __init__(self, directory: Path, split: str, pad: int, seed: int) -> None:
        self._rows = MMapIndexedDataset(str(directory / f"{split}.rows"))
        self._expected = MMapIndexedDataset(str(directory / f"{split}.expected"))
        self._pad, self._seed, self._epoch = pad, seed, 1
        lengths = self._rows.sizes.reshape(len(self._expected), -1)
        self.sizes = lengths.max(1)
        self._tokens, self._rows_each = lengths.sum(1), lengths.shape[1]

    def __len__(self) -> int:
        return len(self._expected)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"id": index, "rows": self.rows(index), "expected": self._expected[index].view(torch.float64)}

    def rows(self, index: int) -> list[Tensor]:
        """The rows of a sample, int64 (length,) each."""
        first = index * self._rows_each
        return [self._rows[first + place].long() for place in range(self._rows_each)]

    def collater(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch: ``inputs``, for each row of a sample its ids (batch, length) and lengths (batch,), and
        ``expected`` float64 (batch, any)."""
        if not samples:
            return {}
        inputs = [self._input([sample["rows"][place] for sample in samples]) for place in range(self._rows_each)]
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "inputs": inputs,
            "expected": data_utils.collate_tokens([sample["expected"] for sample in samples], IGNORED),
            "nsentences": len(samples),
            "ntokens": sum(int(lengths.sum()) for _, lengths in inputs),
        }

    def _input(self, rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        return data_utils.collate_tokens(rows, self._pad), torch.tensor([len(row) for row in rows])

    def num_tokens(self, index: int) -> int:
        """The tokens of a sample, of all its rows."""
        return int(self._tokens[index])

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        """The tokens of several samples."""
        return np.asarray(self._tokens[indices])

    def size(self, index: int) -> int:
        """The length of a sample's longest row."""
        return int(self.sizes[index])

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """False: each epoch has other batches."""
        return False

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 1; for validation, it is always 1."""
        self._epoch = epoch

    def random_order(self) -> np.ndarray:
        """The samples in an order that depends only on the random seed and the epoch."""
        return np.random.default_rng([self._seed, self._epoch]).permutation(len(self))

    def ordered_indices(self) -> np.ndarray:
        """The samples in random order, but by length within each group."""
        order = self.random_order()
        size = max(1, min(_GROUP, len(order) // 4))
        groups = np.split(order, range(size, len(order), size))
        return np.concatenate([group[np.argsort(self.sizes[group], kind="stable")] for group in groups])
