"""Position embeddings that restart within a sample, and that include an embedding of each token's language."""

from typing import Any

import torch
from fairseq.modules import LearnedPositionalEmbedding
from torch import Tensor, nn
from torch.nn.functional import embedding

from focus_plugin.checkpoint.languages import SIDES


class SamplePositions(LearnedPositionalEmbedding):
    """fairseq's position embeddings, for samples with a text in each of two languages.

    restarting: the id of ``<s>``, at which positions are counted anew; None if they are counted over the sample.
    language_rows: an embedding of each language, or None. languages: that of each token of the current batch, shape
    (batch, length), or None.
    """

    restarting: int | None
    language_rows: nn.Embedding | None
    languages: Tensor | None

    def forward(self, input: Tensor, *_: Any, **__: Any) -> Tensor:  # the name that fairseq uses
        """The embeddings of the positions of ``input``, token ids of shape (batch, length), plus those of languages."""
        real = input.ne(self.padding_idx)
        places = real.long().cumsum(1)
        if self.restarting is not None:
            begins = torch.where(input.eq(self.restarting), places - 1, 0)
            places = places - begins.cummax(1).values
        rows = embedding(places * real + self.padding_idx, self.weight, self.padding_idx)
        return rows if self.language_rows is None else rows + self.language_rows(self.languages)


def use_sample_positions(positions: LearnedPositionalEmbedding, begin: int | None, with_languages: bool) -> None:
    """Make fairseq's ``positions`` ``SamplePositions``; the weights stay in place, and language embeddings are zero."""
    positions.__class__ = SamplePositions
    positions.restarting, positions.languages = begin, None
    positions.language_rows = nn.Embedding(len(SIDES), positions.embedding_dim) if with_languages else None
    if with_languages:
        nn.init.zeros_(positions.language_rows.weight)
