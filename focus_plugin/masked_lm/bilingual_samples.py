"""Samples in two languages: parallel lines, tokens replaced by their translations, and the language of each token."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, Dictionary, FairseqDataset

from focus_plugin.masked_lm.samples import MaskedSamples, Masking

SOURCE, TARGET = 0, 1  # the numbers of the languages


class ParallelSamples(FairseqDataset):
    """Lines and their translations: ``<s> line </s> <s> translation </s>``, the format of TLM (Conneau & Lample 2019).

    ``lines``, ``translations``: each item with its ``</s>``. ``kept``: the indices of the pairs that are used.
    """

    def __init__(self, lines: FairseqDataset, translations: FairseqDataset, kept: np.ndarray, begin: int) -> None:
        super().__init__()
        self._sides, self._kept, self._begin = (lines, translations), kept, torch.tensor([begin])
        self.sizes = pair_lengths(lines.sizes, translations.sizes)[kept]

    def __getitem__(self, index: int) -> torch.Tensor:
        line, translation = (side[self._kept[index]] for side in self._sides)
        return torch.cat([self._begin.to(line), line, self._begin.to(line), translation])

    def __len__(self) -> int:
        return len(self._kept)

    def size(self, index: int) -> int:
        """The number of tokens of a sample."""
        return int(self.sizes[index])

    num_tokens = size


def pair_lengths(lines: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """The number of tokens of each sample of parallel lines; the arguments: those of the items of both sides."""
    lengths: np.ndarray = np.asarray(lines) + np.asarray(translations) + 2
    return lengths


def fitting_pairs(lengths: np.ndarray, longest: int, share: float, seed: int) -> np.ndarray:
    """The indices of a random ``share`` of the pairs with at most ``longest`` tokens; sorted."""
    fitting = np.flatnonzero(lengths <= longest)
    drawn: np.ndarray = np.random.RandomState(seed).permutation(fitting)[: round(share * len(fitting))]
    return np.sort(drawn)


class Translations:
    """The different translations of single tokens, in both directions, by the token's id."""

    def __init__(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], tokens: int) -> None:
        """``pairs``: the token ids of words and their translations; those of several tokens are not used.

        ``tokens``: the size of the vocabulary.
        """
        found: dict[int, dict[int, None]] = defaultdict(dict)
        for source, target in pairs:
            if len(source) == len(target) == 1:
                found[source[0]][target[0]] = None
                found[target[0]][source[0]] = None
        self.count = np.zeros(tokens, dtype=np.int64)
        self.table = np.zeros((tokens, max(map(len, found.values()), default=0)), dtype=np.int64)
        for token, others in found.items():
            self.count[token] = len(others)
            self.table[token, : len(others)] = list(others)

    def drawn(self, tokens: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """A random translation of each token, all of which must have one."""
        found: np.ndarray = self.table[tokens, draw.integers(self.count[tokens])]
        return found

    def are(self, tokens: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Which of ``others`` are translations of ``tokens``; all of shape (tokens,)."""
        places = np.arange(self.table.shape[1]) < self.count[tokens][:, None]
        found: np.ndarray = (places & (self.table[tokens] == others[:, None])).any(1)
        return found


class TranslatedSamples(MaskedSamples):
    """Samples in which some predicted tokens are read as their translation; the token itself is still predicted.

    As in the code of ALIGN-MLM's authors for DICT-MLM: of the predicted tokens, a random ``share`` is read as a
    translation, or as it is if it has none; the others are masked as in ``MaskedSamples``.
    """

    def __init__(
        self,
        samples: FairseqDataset,
        dictionary: Dictionary,
        masking: Masking,
        targets: bool,
        translations: Translations,
        share: float,
    ) -> None:
        super().__init__(samples, dictionary, masking, targets)
        self._translations, self._share = translations, share

    def _masked(self, original: np.ndarray, predicted: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        chosen = predicted & (draw.random(len(original)) < self._share)
        read = super()._masked(original, predicted & ~chosen, draw)
        known = np.flatnonzero(chosen & (self._translations.count[original] > 0))
        read[known] = self._translations.drawn(original[known], draw)
        return read


class SampleLanguages(BaseWrapperDataset):
    """The language of each token of samples: ``first``, and after each further ``<s>`` the next one."""

    def __init__(self, samples: FairseqDataset, first: int, begin: int) -> None:
        super().__init__(samples)
        self._first, self._begin = first, begin

    def __getitem__(self, index: int) -> torch.Tensor:
        languages: torch.Tensor = self._first + (self.dataset[index] == self._begin).long().cumsum(0) - 1
        return languages


class ReadLanguages(BaseWrapperDataset):
    """The language of each token that is read: that of the other language if it is the translation of the original."""

    def __init__(
        self, languages: FairseqDataset, samples: FairseqDataset, read: FairseqDataset, translations: Translations
    ) -> None:
        super().__init__(languages)
        self._samples, self._read, self._translations = samples, read, translations

    def set_epoch(self, epoch: int) -> None:
        """Draw as for this epoch from now on."""
        super().set_epoch(epoch)
        self._read.set_epoch(epoch)

    def __getitem__(self, index: int) -> torch.Tensor:
        languages, original, read = (part[index] for part in (self.dataset, self._samples, self._read))
        translated = self._translations.are(original.numpy(), read.numpy())
        return torch.where(torch.from_numpy(translated), SOURCE + TARGET - languages, languages)
