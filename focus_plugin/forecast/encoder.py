"""The memory and time that an encoder needs, from its shape and a measured layer of that shape."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.forecast.machine import seconds_of

FLOAT = 4  # bytes of a number
_MEASURED = 512  # tokens, about
_UPDATED = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tokens that an encoder reads at once, in texts of ``length`` tokens each; ``predicted`` of them by the masked-LM
    head, over ``rows`` tokens of the vocabulary."""

    tokens: int
    length: int
    predicted: int = 0
    rows: int = 0


def parameters(config: EncoderConfig, rows: int) -> int:
    """How many numbers an encoder with its masked-LM head has, for a vocabulary of ``rows`` tokens."""
    width, inner = config.width, config.feedforward
    layer = 4 * (width + 1) * width + (width + 1) * inner + (inner + 1) * width + 4 * width
    embeddings = (
        rows * (2 if config.untied else 1) * config.row_length + (config.max_positions + 4 + config.factors) * width
    )
    head = (width + 1) * width + 2 * width + rows
    return config.layers * layer + embeddings + head


def training_memory(config: EncoderConfig, batch: Batch) -> int:
    """Bytes of what the forward pass keeps for the backward pass, and of the predictions with their gradients.

    A layer keeps the inputs of its products and layer norms, and attention with its dropout for each pair of tokens.
    The backward pass needs as much again for the gradients of one layer.
    """
    width, inner, pairs = config.width, config.feedforward, config.attention_heads * batch.length
    layer = batch.tokens * (14 * width + 2 * inner + 3 * pairs)
    return FLOAT * ((config.layers + 1) * layer + 3 * batch.predicted * batch.rows)


def forward_memory(config: EncoderConfig, batch: Batch) -> int:
    """Bytes of one layer's states in a forward pass, and of the predictions."""
    states = batch.tokens * (6 * config.width + 2 * config.feedforward)
    return FLOAT * (states + 4 * batch.predicted * batch.rows)


def training_seconds(config: EncoderConfig, batch: Batch) -> float:
    """Seconds of the forward and the backward pass over a batch, from those of one layer and of the predictions."""
    measured = _layer_seconds(config, batch, train=True) * config.layers
    return measured + _head_seconds(config, batch, train=True)


def update_seconds(numbers: int) -> float:
    """Seconds of one step of Adam over so many numbers, and of clipping their gradients."""
    parts = [torch.rand(min(numbers, _UPDATED)) for _ in range(4)]

    def work() -> None:
        """What an optimizer computes in a step, on a part of the numbers."""
        weights, gradient, mean, square = parts
        gradient.mul_(1 / max(1.0, float(gradient.norm())))
        mean.mul_(0.9).add_(gradient, alpha=0.1)
        square.mul_(0.98).addcmul_(gradient, gradient, value=0.02)
        weights.addcdiv_(mean, square.sqrt().add_(1e-6), value=-1e-4).add_(weights, alpha=-1e-6)
        gradient.zero_()

    return seconds_of(work, 0.1) * numbers / len(parts[0])


def forward_seconds(config: EncoderConfig, batch: Batch) -> float:
    """Seconds of the forward pass alone."""
    with torch.inference_mode():
        measured = _layer_seconds(config, batch, train=False) * config.layers
        return measured + _head_seconds(config, batch, train=False)


def _layer_seconds(config: EncoderConfig, batch: Batch, train: bool) -> float:
    layer = torch.nn.TransformerEncoderLayer(
        config.width, config.attention_heads, config.feedforward, activation="gelu", batch_first=True
    ).train(train)
    texts = max(1, round(min(_MEASURED, batch.tokens) / batch.length))
    states = torch.randn(texts, min(batch.length, batch.tokens), config.width, requires_grad=train)

    def work() -> None:
        """A pass through the layer."""
        result = layer(states)
        if train:
            torch.autograd.backward(result.sum())

    with _as_trained(train):
        return seconds_of(work, 1.0) * batch.tokens / (texts * states.shape[1])


def _head_seconds(config: EncoderConfig, batch: Batch, train: bool) -> float:
    if not batch.predicted:
        return 0.0
    count = min(batch.predicted, 64)
    states = torch.randn(count, config.width, requires_grad=train)
    output = torch.randn(batch.rows, config.width, requires_grad=train)

    def work() -> None:
        """The predictions and their loss."""
        loss = torch.nn.functional.cross_entropy(states @ output.T, torch.zeros(count, dtype=torch.long))
        if train:
            torch.autograd.backward(loss)

    with _as_trained(train):
        return seconds_of(work, 0.4) * batch.predicted / count


@contextmanager
def _as_trained(train: bool) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    if train:
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
