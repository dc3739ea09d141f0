"""The shape of an encoder: all that has to be known beside its weights to run it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EncoderConfig:
    """A RoBERTa encoder as XLM-R has it: post-layer-norm, exact GELU, learned positions, layer-norm epsilon 1e-5.

    layers: number of transformer layers. width: size of a hidden state. feedforward: inner size of the
    feed-forward blocks. attention_heads: of each layer, a divisor of width. max_positions: most tokens in one input,
    ``<s>`` and ``</s>`` included; the position table has two rows more. untied: whether the masked-LM head has an
    output embedding of its own.
    """

    layers: int
    width: int
    feedforward: int
    attention_heads: int
    max_positions: int
    untied: bool = False
