"""Which parameters of an encoder have the same learning rate and weight decay.

The rows of a new vocabulary must change much more than the other weights, which are well trained, so they have a
learning rate of their own. As in BERT's code, weight decay is not applied to biases and layer norms. It is not applied
to embeddings either, because most of their rows are rarely in a batch.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from torch import nn

_LAYER = re.compile(r"\.layers\.(\d+)\.")
_BELOW_LAYERS = ("embed_tokens.", "embed_positions.", "layernorm_embedding.")
_OF_TOKENS = ("embed_tokens.weight", "lm_head.weight", "lm_head.bias")


@dataclass(frozen=True)
class ParameterGroup:
    """of_tokens: whether the parameters have a row or a number for each token of the vocabulary. decayed: whether
    weight decay is applied. height: 0 for embeddings, 1 for the first layer, and so on; None for heads."""

    of_tokens: bool
    decayed: bool
    height: int | None = None


def group_of(name: str, parameter: nn.Parameter) -> ParameterGroup:
    """The group of a parameter by the name that fairseq's model has for it."""
    of_tokens = name.endswith(_OF_TOKENS)
    decayed = parameter.ndim > 1 and not of_tokens and "embed" not in name
    return ParameterGroup(of_tokens, decayed, _height(name))


def _height(name: str) -> int | None:
    if any(part in name for part in _BELOW_LAYERS):
        return 0
    layer = _LAYER.search(name)
    return int(layer[1]) + 1 if layer else None


def freeze(model: nn.Module, layers: int) -> None:
    """Exclude the embeddings and the first ``layers`` layers of a marked model from training."""
    for parameter in model.parameters():
        height = parameter.param_group.height  # type: ignore[attr-defined]
        if height is not None and height <= layers:
            parameter.requires_grad = False


def mark_groups(model: nn.Module) -> None:
    """Tell each parameter its group, in the attribute that fairseq keeps where it copies parameters to float32."""
    for name, parameter in model.named_parameters():
        parameter.param_group = group_of(name, parameter)  # type: ignore[attr-defined]


def grouped(parameters: Iterable[nn.Parameter], by_height: bool = False) -> dict[ParameterGroup, list[nn.Parameter]]:
    """The parameters of a marked model by group, those that are not of tokens first.

    Groups that differ only in their height are one group unless ``by_height``. Raises AttributeError where a parameter
    was not marked.
    """
    groups: dict[ParameterGroup, list[nn.Parameter]] = {}
    for parameter in parameters:
        group: ParameterGroup = parameter.param_group  # type: ignore[attr-defined]
        groups.setdefault(group if by_height else replace(group, height=None), []).append(parameter)
    return dict(sorted(groups.items(), key=lambda item: (item[0].of_tokens, item[0].decayed, item[0].height or 0)))
