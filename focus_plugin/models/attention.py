"""Self-attention that is faster on CPUs than torch's.

A CPU multiplies fastest what its cache holds. So the scores of a few heads at a time are computed, normalized and used
before those of the next heads; torch computes them for all heads at once, or, in its fused kernel, in pieces too small
for the CPU's matrix instructions.
"""

from typing import Any

import torch
from fairseq.modules import MultiheadAttention
from torch import Tensor

from focus_plugin.models.dropout import drawn, scale

_SCORES = 2**18  # in a processor's cache: one megabyte in float32
_KEPT = 256  # longest sample whose probabilities are kept for the backward pass; longer ones are computed again


class SelfAttention(MultiheadAttention):
    """fairseq's self-attention, with the same weights and, up to rounding, the same results."""

    def forward(
        self,
        query: Tensor,
        key: Tensor | None,
        value: Tensor | None,
        key_padding_mask: Tensor | None = None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """The attention of ``query``, shape (length, batch, width), to itself; see fairseq."""
        unusual = options.get("need_weights") or options.get("attn_mask") is not None
        if query.device.type != "cpu" or unusual:
            theirs: tuple[Tensor, Tensor | None]
            theirs = super().forward(query, key, value, key_padding_mask=key_padding_mask, **options)
            return theirs
        length, batch, width = query.shape
        heads = [
            projected.view(length, batch * self.num_heads, self.head_dim).transpose(0, 1).contiguous()
            for projected in (self.q_proj(query) * self.scaling, self.k_proj(query), self.v_proj(query))
        ]
        padding = None if key_padding_mask is None else key_padding_mask.bool()
        dropout = self.dropout_module.p if self.training else 0.0
        attended: Tensor = _Attention.apply(*heads, padding, dropout)  # type: ignore[no-untyped-call]
        return self.out_proj(attended.transpose(0, 1).reshape(length, batch, width)), None


class _Attention(torch.autograd.Function):
    """dropout(softmax(query · key)) · value; all of shape (batch x heads, length, width of a head).

    padding: (batch, length), True for keys that nothing attends to, or None. dropout: a share of the probabilities.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, dropout: float) -> Tensor:
        """The attention of a few heads after the other. Keeps the probabilities of short samples."""
        attended, kept, used = torch.empty_like(query), [], []
        for part in _parts(query):
            chances = _chances(query, key, padding, part)
            if query.shape[1] <= _KEPT and any(ctx.needs_input_grad):
                kept.append(chances)
            if dropout:
                used.append(drawn(chances.shape, dropout))
                chances = torch.where(used[-1], chances, 0)
            torch.bmm(chances, value[part], out=attended[part])
        ctx.save_for_backward(query, key, value, padding, *kept, *used)
        ctx.dropout = dropout
        return attended.mul_(scale(dropout)) if dropout else attended

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients. Probabilities that were not kept are computed again."""
        [gradient] = gradients
        query, key, value, padding, *saved = ctx.saved_tensors
        parts = _parts(query)
        used = [saved.pop() for _ in parts][::-1] if ctx.dropout else []
        gradient = (gradient * scale(ctx.dropout) if ctx.dropout else gradient).contiguous()
        of_query, of_key, of_value = (torch.empty_like(query) for _ in range(3))
        for i, part in enumerate(parts):
            chances = saved[i] if saved else _chances(query, key, padding, part)
            after = torch.where(used[i], chances, 0) if used else chances
            torch.bmm(after.transpose(1, 2), gradient[part], out=of_value[part])
            scores = torch.bmm(gradient[part], value[part].transpose(1, 2))
            if used:
                scores = torch.where(used[i], scores, 0)
            scores = torch._softmax_backward_data(scores, chances, -1, scores.dtype)
            torch.bmm(scores, key[part], out=of_query[part])
            torch.bmm(scores.transpose(1, 2), query[part], out=of_key[part])
        return of_query, of_key, of_value, None, None


def _parts(query: Tensor) -> list[slice]:
    """Which heads are computed together."""
    rows, length, _ = query.shape
    size = torch.get_num_threads() * max(1, _SCORES // length**2)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _chances(query: Tensor, key: Tensor, padding: Tensor | None, part: slice) -> Tensor:
    """The attention of some heads, shape (heads, length, length); sums to one over the last dimension."""
    scores = torch.bmm(query[part], key[part].transpose(1, 2))
    if padding is not None:
        heads = len(query) // len(padding)
        sample = torch.arange(part.start, part.stop) // heads
        scores.masked_fill_(padding[sample, None], -torch.inf)
    return torch.softmax(scores, -1)
