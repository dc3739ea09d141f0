"""``SequenceHead`` in PyTorch, and its training by the task ``focus_heads``."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from focus_plugin.finetuning.declaration import Example, Forward, Loss, Outputs, Preparation

if TYPE_CHECKING:
    from focus_export.head import Encoded
    from focus_export.sequence_head import SequenceHead
    from torch import Tensor, nn

_DROPOUT = 0.1  # as transformers has it before both layers
BY_ACCURACY = (
    *("--task", "focus_heads", "--criterion", "focus_heads"),
    *("--best-checkpoint-metric", "accuracy", "--maximize-best-checkpoint-metric"),
)


def sequence_module(head: "SequenceHead", width: int) -> "nn.ModuleDict":
    """The layers with new weights."""
    from torch import nn

    out = nn.Linear(width, head.readout.size)
    return nn.ModuleDict({"dropout": nn.Dropout(_DROPOUT), "dense": nn.Linear(width, width), "out_proj": out})


def sequence_forward(given: Forward) -> "dict[str, Tensor]":
    """``logits`` (batch, size) of ``<s>``: dropout, a linear layer, tanh, dropout, another linear layer."""
    module = given.module
    assert module
    dropout, dense, out = (module.get_submodule(name) for name in ("dropout", "dense", "out_proj"))
    return {"logits": out(dropout(dense(dropout(given.hidden[:, 0])).tanh()))}


def label_loss(given: Outputs) -> Loss:
    """Cross-entropy; ``expected`` has the number of the label."""
    from torch.nn.functional import cross_entropy

    logits, expected = given.outputs[0]["logits"], given.expected[:, 0].long()
    total = cross_entropy(logits, expected, reduction="sum")
    return Loss(total=total, count=len(expected), scores={"accuracy": (logits.argmax(1) == expected).sum()})


def write_sequences(given: Preparation, head: "SequenceHead", number: Callable[[str], float]) -> tuple[int, int]:
    """Write a training sample of each example in all tables; ``number``: from an expected result to what the loss gets.

    Returns the number of training samples, and that of samples in all tables that were cut. Raises FocusError, with
    file and line, for a sample that is too long.
    """
    import numpy as np

    from focus_plugin.finetuning.samples import TrainingSample, write_samples

    cut = 0

    def samples(example: Example, encoded: "Encoded") -> Iterator[TrainingSample]:
        nonlocal cut
        cut += encoded.left_out > 0
        yield TrainingSample(encoded.rows, np.array([number(example.expected)]))

    written = [write_samples(given, split, head, samples) for split in given.tables]
    return written[0], cut
