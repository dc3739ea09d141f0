"""Trains the rows of an encoder: optimizer, learning rate, progress."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.learning.encoder import RowEncoder
from focus_plugin.mixing.declaration import Given

SAMPLES_PER_UPDATE = 4
WARM_UP = 0.1  # share of the updates
FULL_RATE_WIDTH = 256  # of the encoder up to which the learning rate is as given
MOMENTUM, AVERAGING = 0.9, 0.98  # of the gradients and of their squares
DAMPING = 1.0


def train_rows(given: Given, encoder: RowEncoder, updates: int, loss: Callable[[int], Tensor], row_lr: float) -> None:
    """Train the rows and the bias of ``encoder``; ``loss(i)`` is the loss of update i.

    The learning rate rises in the first tenth of the updates to ``row_lr`` times :func:`safe_rate`, and then falls to
    zero. ``given.progress`` is told of all target tokens.
    """
    assert given.model is not None
    rate = row_lr * safe_rate(given.model.tensors[EMBEDDING])
    optimizer = RowAdam(encoder.trained, rate)
    reported = 0
    with reduced_products():
        for i in range(updates):
            optimizer.param_groups[0]["lr"] = rate * schedule(i, updates)
            optimizer.zero_grad()
            loss(i).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done = (i + 1) * len(given.target) // updates
            given.progress(done - reported)
            reported = done


def safe_rate(embedding: Tensor) -> float:
    """The unit of learning rates for rows that are like those of ``embedding``, shape (tokens, width).

    It is the root mean square of the entries. For more than FULL_RATE_WIDTH columns it is smaller in inverse
    proportion: a logit is a sum over the columns, and an update then changes it equally at any width.
    """
    rows, width = embedding.shape
    size: float = torch.linalg.vector_norm(embedding).item() / (rows * width) ** 0.5
    return size * FULL_RATE_WIDTH / max(FULL_RATE_WIDTH, width)


def schedule(update: int, updates: int) -> float:
    """The share of the largest learning rate in an update: it rises linearly, and then falls linearly to zero."""
    rising = max(1, round(WARM_UP * updates))
    return min((update + 1) / rising, (updates - update) / max(1, updates - rising))


class RowAdam(torch.optim.Optimizer):
    """Adam with one second moment for each row instead of one for each entry, and with damping.

    Plain Adam moves all rows equally fast, but the gradients of rows that are rarely in a batch are mostly noise. Here
    the mean gradient of a row is divided by the root of its second moment plus DAMPING times the root of the mean of
    all rows' second moments. So rare rows move less. An entry of a bias is a row.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change the parameters by their gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                state, gradient = self.state[parameter], parameter.grad
                if gradient is None:  # input embeddings where only predictions are trained
                    continue
                squares = gradient.square().flatten(1).mean(1) if gradient.ndim > 1 else gradient.square()
                mean = state.setdefault("mean", torch.zeros_like(gradient)).lerp_(gradient, 1 - MOMENTUM)
                second = state.setdefault("second", torch.zeros_like(squares)).lerp_(squares, 1 - AVERAGING)
                state["updates"] = state.get("updates", 0) + 1
                second = second / (1 - AVERAGING ** state["updates"])
                scale = second.sqrt() + DAMPING * second.mean().sqrt() + torch.finfo(second.dtype).tiny
                rate = group["lr"] / (1 - MOMENTUM ** state["updates"])
                parameter -= rate * mean / scale.view(-1, *[1] * (gradient.ndim - 1))


@contextmanager
def reduced_products() -> Iterator[None]:
    """Multiply in bfloat16 where the processor can, as trainings do."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
