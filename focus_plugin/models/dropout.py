"""Dropout that is faster on CPUs than torch's, which draws a random number of 64 bits for each element."""

from typing import Any

import torch
from fairseq.modules.fairseq_dropout import FairseqDropout
from torch import Tensor

_VALUES = 2**16  # probabilities are multiples of its inverse


class Dropout(FairseqDropout):
    """fairseq's dropout, with other random numbers on a CPU."""

    def forward(self, x: Tensor, inplace: bool = False) -> Tensor:
        """``x`` with a share ``p`` of its elements set to zero in training, and the others scaled."""
        if x.device.type != "cpu" or not (self.training and self.p > 0):
            theirs: Tensor = super().forward(x, inplace)
            return theirs
        ours: Tensor = _Dropped.apply(x, self.p)  # type: ignore[no-untyped-call]
        return ours


def drawn(shape: torch.Size, p: float) -> Tensor:
    """Which elements are kept; bool, on the CPU, of ``shape``. Four elements share a random number of 64 bits."""
    count = shape.numel()
    bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    return (bits >= _dropped_values(p) - _VALUES // 2).view(shape)


def scale(p: float) -> float:
    """What the elements that are kept are multiplied by, so that the mean remains."""
    return _VALUES / (_VALUES - _dropped_values(p))


def _dropped_values(p: float) -> int:
    return min(round(p * _VALUES), _VALUES - 1)


class _Dropped(torch.autograd.Function):
    """Values of which a share ``p`` is set to zero."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, p: float) -> Tensor:
        """The values that are kept, scaled, and zeros."""
        kept = drawn(values.shape, p)
        ctx.save_for_backward(kept)
        ctx.scale = scale(p)
        return torch.where(kept, values, 0).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the values that were kept, scaled, and zeros."""
        [gradient] = gradients
        [kept] = ctx.saved_tensors
        return torch.where(kept, gradient, 0).mul_(ctx.scale), None
