"""A data set of the lines from which fairseq's masked LM makes its samples."""

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, FairseqDataset

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
