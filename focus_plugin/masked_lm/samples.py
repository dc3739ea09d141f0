"""The samples that fairseq's masked LM reads, and which of their tokens it predicts."""

from dataclasses import dataclass

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, Dictionary, FairseqDataset

from focus_plugin.masked_lm.masking import PREDICTED_SHARE
from focus_plugin.vocabulary.vocabulary import MASK, SPECIALS

_BLANK = 1  # the length of a blank line: its </s>


class Lines(BaseWrapperDataset):
    """The lines of a text that are not blank, each with its ``</s>``."""

    def __init__(self, text: FairseqDataset) -> None:
        super().__init__(text)
        self._kept = np.flatnonzero(np.asarray(text.sizes) != _BLANK)

    def __getitem__(self, index: int) -> torch.Tensor:
        line: torch.Tensor = self.dataset[self._kept[index]]
        return line

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def sizes(self) -> np.ndarray:
        """The length of each line, shape (lines,)."""
        sizes: np.ndarray = np.asarray(self.dataset.sizes)[self._kept]
        return sizes


@dataclass(frozen=True)
class Masking:
    """What a sample's tokens are replaced by while an encoder learns to predict them (Devlin et al. 2019, section 3.1).

    predicted: share of the tokens that are predicted. kept, random: shares of these that are read as they are and as a
    random token; the others are read as ``<mask>``. whole_words: predict all pieces of a word or none. seed: of the
    draw.
    """

    predicted: float
    kept: float
    random: float
    whole_words: bool
    seed: int


BERT = Masking(predicted=PREDICTED_SHARE, kept=0.1, random=0.1, whole_words=False, seed=1)


class MaskedSamples(BaseWrapperDataset):
    """Samples as an encoder reads them, or their targets: ``<pad>`` where nothing is predicted.

    Every epoch has other masks. Special tokens, including the ``</s>`` between lines, are not predicted, because they
    are so easy that the encoder would learn little from them.
    """

    def __init__(self, samples: FairseqDataset, dictionary: Dictionary, masking: Masking, targets: bool) -> None:
        super().__init__(samples)
        self._masking, self._targets = masking, targets
        self._pad, self._mask = dictionary.pad(), dictionary.index(MASK)
        self._special = np.array([symbol in SPECIALS for symbol in dictionary.symbols])
        self._ordinary = np.flatnonzero(~self._special)
        self._starts = np.array([symbol.startswith("▁") for symbol in dictionary.symbols]) | self._special
        self._epoch = 1

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Only what is drawn changes from epoch to epoch, not the samples' sizes."""
        return True

    def set_epoch(self, epoch: int) -> None:
        """Draw as for this epoch from now on."""
        super().set_epoch(epoch)
        self._epoch = epoch

    def __getitem__(self, index: int) -> torch.Tensor:
        original: np.ndarray = self.dataset[index].numpy()
        draw = np.random.default_rng((self._masking.seed, self._epoch, index))
        predicted = self._predicted(original, draw)
        if self._targets:
            return torch.from_numpy(np.where(predicted, original, self._pad))
        return torch.from_numpy(self._masked(original, predicted, draw))

    def _masked(self, original: np.ndarray, predicted: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """What the encoder reads of a sample of which the tokens ``predicted`` are predicted."""
        masking, chance = self._masking, draw.random(len(original))
        read: np.ndarray = original.copy()
        read[predicted & (chance >= masking.kept)] = self._mask
        replaced = np.flatnonzero(predicted & (chance >= 1 - masking.random))
        read[replaced] = self._ordinary[draw.integers(len(self._ordinary), size=len(replaced))]
        return read

    def _predicted(self, original: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Which tokens are predicted: the exact share, rounded up or down at random; shape (tokens,), bool."""
        ordinary = ~self._special[original]
        unit = np.cumsum(self._starts[original]) if self._masking.whole_words else np.arange(len(original))
        units = np.unique(unit[ordinary])
        count = int(self._masking.predicted * len(units) + draw.random())
        predicted: np.ndarray = ordinary & np.isin(unit, draw.permutation(units)[:count])
        return predicted
