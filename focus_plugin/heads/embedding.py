"""One vector for each text, pooled from the encoder's hidden states. It has no training."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress
from focus_plugin.finetuning.declaration import Example, Forward, TaskHead
from focus_plugin.text import Text

if TYPE_CHECKING:
    from torch import Tensor


def examples(path: Path, columns: Any, progress: Progress) -> Iterator[Example]:
    """The lines of a text that are not blank. Raises FocusError if there are none."""
    empty = True
    for number, line in enumerate(Text.of(path).lines(progress), 1):
        if line.strip():
            empty = False
            yield Example(number, line)
    if empty:
        raise FocusError(f"{path}: the text is empty; it needs at least one line.")


def metrics(expected: Sequence[Any], results: Sequence[Any]) -> Mapping[str, float]:
    """The mean cosine between the embeddings and the expected ones."""
    import numpy as np

    wanted, found = np.array(expected, np.float64), np.array(results, np.float64)
    norms = np.linalg.norm(wanted, axis=1) * np.linalg.norm(found, axis=1)
    return {"cosine": float(np.mean((wanted * found).sum(1) / norms))}


def forward(given: Forward) -> "dict[str, Tensor]":
    """The mean of the hidden states of a row without padding, or the hidden state of the first token."""
    import torch
    from focus_export.heads.embedding import EmbeddingHead

    assert isinstance(given.head, EmbeddingHead)
    if given.head.pooling == "first":
        return {"embedding": given.hidden[:, 0]}
    real = torch.arange(given.hidden.shape[1], device=given.hidden.device) < given.lengths[:, None]
    return {"embedding": (given.hidden * real[:, :, None]).sum(1) / real.sum(1, keepdim=True)}


HEAD = TaskHead(
    name="embedding",
    summary="One vector of each text.",
    examples=examples,
    metrics=metrics,
    forward=forward,
)
