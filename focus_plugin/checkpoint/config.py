"""The shape of an encoder: the sizes that are needed to run it, in addition to its weights."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EncoderConfig:
    """A RoBERTa encoder as XLM-R has it: post-layer-norm, exact GELU, learned positions, layer-norm epsilon 1e-5.

    layers: number of transformer layers. width: size of a hidden state. feedforward: inner size of the
    feed-forward blocks. attention_heads: number in each layer, a divisor of width. max_positions: the largest number of
    tokens in one input, ``<s>`` and ``</s>`` included; the position table has two more rows. untied: whether the
    output embedding of the masked-LM head is separate from the input embedding.
    """

    layers: int
    width: int
    feedforward: int
    attention_heads: int
    max_positions: int
    untied: bool = False
