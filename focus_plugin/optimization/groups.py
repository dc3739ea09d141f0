"""Which parameters of an encoder have the same learning rate and weight decay.

The rows of a new vocabulary must change much more than the other weights, which are well trained, so they have a
learning rate of their own. As in BERT's code, weight decay is not applied to biases and layer norms. It is not applied
to embeddings either, because most of their rows are rarely in a batch.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

_OF_TOKENS = ("embed_tokens.weight", "lm_head.weight", "lm_head.bias")


@dataclass(frozen=True, order=True)
class ParameterGroup:
    """of_tokens: whether the parameters have a row or a number for each token of the vocabulary."""

    of_tokens: bool
    decayed: bool


def group_of(name: str, parameter: nn.Parameter) -> ParameterGroup:
    """The group of a parameter by the name that fairseq's model has for it."""
    of_tokens = name.endswith(_OF_TOKENS)
    return ParameterGroup(of_tokens, decayed=parameter.ndim > 1 and not of_tokens and "embed" not in name)


def mark_groups(model: nn.Module) -> None:
    """Tell each parameter its group, in the attribute that fairseq keeps where it copies parameters to float32."""
    for name, parameter in model.named_parameters():
        parameter.param_group = group_of(name, parameter)  # type: ignore[attr-defined]


def grouped(parameters: Iterable[nn.Parameter]) -> dict[ParameterGroup, list[nn.Parameter]]:
    """The parameters of a marked model by group, those that are not of tokens first.

    Raises AttributeError where a parameter was not marked.
    """
    groups: dict[ParameterGroup, list[nn.Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(parameter.param_group, []).append(parameter)  # type: ignore[attr-defined]
    return dict(sorted(groups.items(), key=lambda item: item[0]))
