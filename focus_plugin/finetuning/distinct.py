"""Training samples of which no batch has the same row twice, for losses with in-batch negatives."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from focus_plugin.finetuning.samples import TrainingSamples

_TRIES = 100  # batches, for each sample


def distinct_batches(rows: Sequence[Sequence[int]], order: np.ndarray, size: int) -> list[np.ndarray]:
    """Divide samples into batches of at most ``size``, so that two samples in a batch have no row in common.

    ``rows``: the rows of every sample, as numbers that are equal if the rows are. ``order``: the samples, in the order
    in which they are given a batch. There are as few batches as without the condition, and they are almost equally
    large. Samples that fit in none are left out, so another order may leave out others.
    """
    count = math.ceil(len(order) / size)
    batches: list[list[int]] = [[] for _ in range(count)]
    contained: list[set[int]] = [set() for _ in range(count)]
    for turn, sample in enumerate(order.tolist()):
        for number in range(turn, turn + min(count, _TRIES)):
            batch, found = batches[number % count], contained[number % count]
            if len(batch) < size and found.isdisjoint(rows[sample]):
                batch.append(sample)
                found.update(rows[sample])
                break
    return [np.array(batch) for batch in batches if batch]


class DistinctSamples(TrainingSamples):
    """The samples of a split, in other batches in each epoch. No batch has the same row of token ids twice."""

    def __init__(self, directory: Path, split: str, pad: int, seed: int) -> None:
        super().__init__(directory, split, pad, seed)
        numbers: dict[bytes, int] = {}
        self._numbers = [
            [numbers.setdefault(row.numpy().tobytes(), len(numbers)) for row in self.rows(index)]
            for index in range(len(self))
        ]

    def ordered_indices(self) -> np.ndarray:
        """The samples in random order; their batches are not sorted by length, since these have to be distinct."""
        return self.random_order()

    def batch_by_size(
        self,
        indices: np.ndarray,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> list[np.ndarray]:
        """The batches, of ``max_sentences`` samples; the other arguments are fairseq's and are not used."""
        return distinct_batches(self._numbers, indices, max_sentences or len(indices))
