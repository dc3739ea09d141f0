"""The shape of an encoder: the sizes that are needed to run it, in addition to its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from focus_plugin.checkpoint.names import EMBEDDING, PROJECTION

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class EncoderConfig:
    """A RoBERTa encoder as XLM-R has it: post-layer-norm, exact GELU, learned positions, layer-norm epsilon 1e-5.

    layers: number of transformer layers. width: size of a hidden state. feedforward: inner size of the
    feed-forward blocks. attention_heads: number in each layer, a divisor of width. max_positions: the largest number of
    tokens in one input, ``<s>`` and ``</s>`` included; the position table has two more rows. untied: whether the
    output embedding of the masked-LM head is separate from the input embedding. factors: the length of the embedding's
    rows if it is factorized, else 0. A factorized embedding is the product of these rows and a projection to the width,
    which all tokens share; the masked-LM head uses the same two matrices.
    """

    layers: int
    width: int
    feedforward: int
    attention_heads: int
    max_positions: int
    untied: bool = False
    factors: int = 0

    @property
    def row_length(self) -> int:
        """The number of values that the embedding has for each token."""
        return self.factors or self.width

    def of(self, tensors: "Mapping[str, Tensor]") -> "EncoderConfig":
        """This shape with the factors of ``tensors``."""
        return replace(self, factors=tensors[EMBEDDING].shape[1] if PROJECTION in tensors else 0)
