"""The cross-entropy of predicted tokens, without the logits of all predictions at once.

A training computes one logit for every predicted token and every token of the vocabulary. Autograd would keep several
matrices of that size in float32; reading and writing them takes longer than their product with the embedding. Here the
logits of a few predictions at a time become probabilities, and only the gradient of all logits is kept, in the
precision of the products.
"""

from typing import Any

import torch
from torch import Tensor

_LOGITS_ON_CPU = 2**21  # computed at once: about what its cache holds
_LOGITS_ELSEWHERE = 2**26
_FEWEST = 64  # predictions at once, since products of fewer rows are slow


def summed_cross_entropy(states: Tensor, embedding: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """The sum over all predictions of minus the logarithm of the target's probability.

    states: shape (predictions, width). embedding: (tokens, width) and bias: (tokens,), those of the output. targets:
    token ids, shape (predictions,). Products are computed in the dtype of autocast or else of ``states``, and in
    float32 instead of float16, in which small probabilities are zero; everything else in float32.
    """
    loss: Tensor = _SummedCrossEntropy.apply(states, embedding, bias, targets)  # type: ignore[no-untyped-call]
    return loss


class _SummedCrossEntropy(torch.autograd.Function):
    """Computes the gradients together with the loss, since both need the probabilities."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, embedding: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """The loss; keeps the gradients of a loss of one."""
        kind, learned = states.device.type, any(ctx.needs_input_grad)
        with torch.autocast(kind, enabled=False):
            dtype = _dtype(states)
            read, rows = states.to(dtype), embedding.to(dtype)
            gradient = read.new_empty(len(read) if learned else 0, len(rows))
            loss = torch.zeros((), device=states.device)
            size = max(_FEWEST, (_LOGITS_ON_CPU if kind == "cpu" else _LOGITS_ELSEWHERE) // len(rows))
            for start in range(0, len(read), size):
                part = slice(start, start + size)
                target = targets[part, None]
                logs = torch.log_softmax(torch.mm(read[part], rows.T) + bias.float(), -1)
                loss -= logs.gather(1, target).sum()
                if learned:
                    chances = logs.exp_()
                    gradient[part] = chances.scatter_add_(1, target, torch.full_like(target, -1, dtype=chances.dtype))
            if learned:
                of_bias = gradient.sum(0, dtype=torch.float32)
                ctx.save_for_backward(torch.mm(gradient, rows), torch.mm(gradient.T, read), of_bias)
        ctx.dtypes = states.dtype, embedding.dtype, bias.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients times that of the loss."""
        [gradient] = gradients
        kept = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        return (*(tensor.to(dtype) * gradient.to(dtype) for tensor, dtype in kept), None)


def _dtype(states: Tensor) -> torch.dtype:
    """The dtype of products."""
    kind = states.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
    return torch.float32 if dtype is torch.float16 else dtype
