"""``SequenceHead`` in PyTorch, and its training by the task ``focus_heads``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Example, Forward, Loss, Outputs, Preparation

if TYPE_CHECKING:
    from focus_export.head import Encoded
    from focus_export.sequence_head import SequenceHead
    from torch import Tensor, nn

    from focus_plugin.finetuning.samples import TrainingSample

_DROPOUT = 0.1  # as transformers has it before both layers


def sequence_tensors(name: str) -> str:
    """The beginning of the names of the head's tensors in a release, so that fairseq has them as its head ``name``."""
    return f"classification_heads.{name}."


def sequence_module(head: "SequenceHead", width: int) -> "nn.ModuleDict":
    """The layers with new weights."""
    from torch import nn

    out = nn.Linear(width, head.readout.size)
    return nn.ModuleDict({"dropout": nn.Dropout(_DROPOUT), "dense": nn.Linear(width, width), "out_proj": out})


def sequence_forward(given: Forward) -> "dict[str, Tensor]":
    """``logits`` (batch, size) of ``<s>``: dropout, a linear layer, tanh, dropout, another linear layer.

    Of a release, they are computed by fairseq's own head, which could also have another activation.
    """
    for theirs in given.model.classification_heads.values():
        return {"logits": theirs(given.hidden)}
    assert given.module
    dropout, dense, out = (given.module.get_submodule(name) for name in ("dropout", "dense", "out_proj"))
    return {"logits": out(dropout(dense(dropout(given.hidden[:, 0])).tanh()))}


def label_loss(given: Outputs) -> Loss:
    """Weighted cross-entropy. expected: the number of the label. settings: of ``LabelOptions.loss_settings``."""
    import torch
    from torch.nn.functional import cross_entropy

    logits, expected = given.outputs[0]["logits"], given.expected[:, 0].long()
    weights, smoothing = torch.tensor(given.settings["weights"], device=logits.device), given.settings["smoothing"]
    total = cross_entropy(logits, expected, weights, label_smoothing=smoothing, reduction="sum")
    return Loss(total=total, count=len(expected))


def several_label_loss(given: Outputs) -> Loss:
    """Binary cross-entropy, the mean over the labels. expected: one or zero for each label. settings: as above."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    logits, expected = given.outputs[0]["logits"], given.expected.float()
    weights, smoothing = torch.tensor(given.settings["weights"], device=logits.device), given.settings["smoothing"]
    smooth = expected * (1 - smoothing) + smoothing / 2
    losses = binary_cross_entropy_with_logits(logits, smooth, pos_weight=weights, reduction="none")
    return Loss(total=losses.mean(1).sum(), count=len(expected))


def write_sequences(
    given: Preparation,
    head: "SequenceHead",
    numbers: Callable[[Any], Sequence[float]],
    copies: Mapping[Any, int] = MappingProxyType({}),
) -> tuple[int, int]:
    """Write a training sample of each example in all tables. numbers: from an expected result to those of the loss.
    copies: by the expected result, how many samples an example of the training table gives instead of one.

    Returns the number of training samples, and that of samples in all tables that were cut. Raises FocusError, with
    file and line, for a sample that is empty or too long.
    """
    import numpy as np

    from focus_plugin.finetuning.samples import TrainingSample, write_samples

    cut, specials = 0, (given.tokenizer.bos, given.tokenizer.eos)

    def samples(split: str, example: Example, encoded: "Encoded") -> "Iterator[TrainingSample]":
        """The training samples of an example, as many as it has copies."""
        nonlocal cut
        cut += encoded.left_out > 0
        if np.isin(encoded.rows[0], specials).all():
            raise FocusError(f"{example.place}: the text is empty.")
        sample = TrainingSample(encoded.rows, np.array(numbers(example.expected)))
        yield from repeat(sample, copies.get(example.expected, 1) if split == "train" else 1)

    written = [write_samples(given, split, head, partial(samples, split)) for split in given.tables]
    return written[0], cut
