"""A head of a model directory, with its tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from focus_export.head import ServingHead
from torch import Tensor

from focus_plugin.checkpoint.checkpoint import Checkpoint


@dataclass(frozen=True)
class KeptHead:
    """A head with its tensors.

    prefix: the beginning of their names in the checkpoint; empty for a head without tensors. tensors: by the rest of
    their names.
    """

    head: ServingHead
    prefix: str = ""
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


def kept_head(head: ServingHead, prefix: str, checkpoint: Checkpoint) -> KeptHead:
    """A head with its tensors from the checkpoint, those whose names begin with ``prefix``; none if it is empty."""
    own = {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint.task_heads.items()
        if prefix and name.startswith(prefix)
    }
    return KeptHead(head, prefix, own)
