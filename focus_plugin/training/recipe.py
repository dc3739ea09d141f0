"""How a training changes the weights: optimizer, learning rates, dropout, schedule.

The recipe ``adapt`` is for an encoder with a new vocabulary. Its embeddings and its output bias must change much more
than its other weights, so they have a learning rate of their own. There is no dropout unless the text is read often
enough to be memorized. docs/results.md shows what most of its parts contribute. The recipe ``plain`` is the usual one
for RoBERTa: one learning rate for all weights, and a dropout of 0.1.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from focus_plugin.training.words import last_setting

_WARMUP = 0.06  # of the updates
_COMMON = {
    "adam-betas": "(0.9, 0.98)",
    "adam-eps": "1e-6",
    "weight-decay": "0.01",
    "clip-norm": "1.0",
    "lr-scheduler": "polynomial_decay",
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a training changes the weights.

    learning_rate: of the body at its peak, after the first 6 % of the updates; it then falls linearly to zero.
    embedding_ratio: the learning rate of embeddings and output bias is as many times as high. dropout: of hidden
    states and of attention. optimizer: ``focus_adam``, or fairseq's ``adam``, which has one learning rate. layer_decay:
    the learning rate of each layer, as a multiple of that of the layer above it.
    """

    learning_rate: float
    embedding_ratio: float = 1.0
    dropout: float = 0.1
    optimizer: str = "adam"
    layer_decay: float = 1.0

    def options(self, updates: int, extra: Sequence[str]) -> Iterator[str]:
        """The options of fairseq-train; ``extra``, the user's own, may choose another optimizer."""
        options = {
            **_COMMON,
            "optimizer": self.optimizer,
            "dropout": self.dropout,
            "attention-dropout": self.dropout,
            "lr": self.learning_rate,
            "warmup-updates": math.ceil(_WARMUP * updates),
            "total-num-update": updates,
        }
        if (last_setting(extra, "--optimizer", str) or self.optimizer) == "focus_adam":
            options |= {"embedding-lr-ratio": self.embedding_ratio, "layer-lr-decay": self.layer_decay}
            yield "--fp16-no-flatten-grads"  # or a training in half precision has one group of parameters
        for option, setting in options.items():
            yield from (f"--{option}", str(setting))
