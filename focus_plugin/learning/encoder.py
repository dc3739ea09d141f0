"""An encoder in which only the rows of new tokens and the output bias are trained."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.forward import head_states
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.mixing.rows import Rows


@dataclass(frozen=True, kw_only=True, eq=False)
class RowEncoder:
    """An encoder with trainable rows.

    config: its sizes. frozen: all its tensors, with the target's vocabulary; none of them changes. copied: shape
    (target,), see ``Rows``. new: (n,), the ids of the trained rows. rows: (n, width), their input embeddings.
    output_rows: (n, width), their output embeddings; None if they are tied to the input embeddings. bias: (target,),
    the output bias, trained for all tokens.
    """

    config: EncoderConfig
    frozen: Mapping[str, Tensor]
    copied: np.ndarray
    new: Tensor
    rows: Tensor
    output_rows: Tensor | None
    bias: Tensor

    @classmethod
    def of(
        cls, config: EncoderConfig, tensors: Mapping[str, Tensor], copied: np.ndarray, new: np.ndarray, device: str
    ) -> "RowEncoder":
        """An encoder with the weights ``tensors``, on ``device``."""
        frozen = {name: tensor.to(device) for name, tensor in tensors.items()}
        ids = torch.from_numpy(new).to(device)
        output = frozen[OUTPUT_EMBEDDING][ids].requires_grad_() if config.untied else None
        return cls(
            config=config,
            frozen=frozen,
            copied=copied,
            new=ids,
            rows=frozen[EMBEDDING][ids].requires_grad_(),
            output_rows=output,
            bias=frozen[OUTPUT_BIAS].clone().requires_grad_(),
        )

    @property
    def trained(self) -> list[Tensor]:
        """The tensors that are trained."""
        return [self.rows, self.bias, *([] if self.output_rows is None else [self.output_rows])]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the encoder, through which gradients reach the trained ones."""
        embedding = self.frozen[EMBEDDING].index_copy(0, self.new, self.rows)
        output = embedding
        if self.output_rows is not None:
            output = self.frozen[OUTPUT_EMBEDDING].index_copy(0, self.new, self.output_rows)
        return {**self.frozen, EMBEDDING: embedding, OUTPUT_EMBEDDING: output, OUTPUT_BIAS: self.bias}

    def result(self, source_bias: Tensor) -> Rows:
        """The trained rows. Their biases are moved by the mean difference of the biases of copied tokens.

        ``source_bias``: shape (source,), which copied tokens keep.
        """
        kept = np.flatnonzero(self.copied >= 0)
        bias = self.bias.detach().cpu()
        shift = (source_bias[self.copied[kept]] - bias[kept]).mean() if len(kept) else torch.zeros(())
        output = None if self.output_rows is None else self.output_rows.detach().cpu()
        new = self.new.cpu()
        return Rows(
            copied=self.copied,
            ids=new.numpy(),
            embedding=self.rows.detach().cpu(),
            output_embedding=output,
            bias=bias[new] + shift,
        )


def prediction_loss(tensors: Mapping[str, Tensor], states: Tensor, tokens: Tensor) -> Tensor:
    """The mean cross-entropy of ``tokens``, shape (positions,), given the last layer's states at these positions."""
    logits = linear(head_states(tensors, states), tensors[OUTPUT_EMBEDDING], tensors[OUTPUT_BIAS])
    return cross_entropy(logits, tokens)
