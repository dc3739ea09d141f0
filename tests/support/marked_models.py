"""Encoders in which one token can be told from all others by the first coordinate of its states, whatever its text."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from fairseq.models.roberta import XLMRModel
from torch import Tensor

_ENCODER = "encoder.sentence_encoder"


@dataclass(frozen=True, kw_only=True)
class MarkedUnit:
    """A hidden unit of a layer that is huge for one token, or of all others. is_read: whether it changes anything; if
    not, only ranges of activations have to hold it."""

    token: int
    layer: int
    of_others: bool = False
    is_read: bool = False


def with_marked_token(model: Path, output: Path, unit: MarkedUnit, lines: Sequence[str]) -> Path:
    """The model with the unit; ``lines`` are texts on which it is so."""
    shutil.copytree(model, output)
    state = torch.load(output / "model.pt")
    tensors = state["model"]
    for name in [name for name in tensors if name.startswith(_ENCODER)]:
        if "norm" in name:
            tensors[name][0] = 3 if name.endswith("weight") else 0
        elif "embed" in name:
            tensors[name][:, 0] = 0
        elif "out_proj" in name or "fc2" in name:
            tensors[name][0] = 0
    embedding = tensors[f"{_ENCODER}.embed_tokens.weight"]
    embedding[unit.token] = 100 * torch.eye(embedding.shape[1])[0]
    tensors["encoder.lm_head.weight"] = embedding
    torch.save(state, output / "model.pt")
    ids, states = first_products(output, unit.layer, lines)
    marked, others = (states[ids == unit.token, 0], states[ids != unit.token, 0])
    assert marked.min() > others.max()
    inner = f"{_ENCODER}.layers.{unit.layer}"
    sign, gain = -1 if unit.of_others else 1, 100 if unit.is_read else 3000
    tensors[f"{inner}.fc1.weight"][3] = 0
    tensors[f"{inner}.fc1.weight"][3, 0] = gain * sign
    tensors[f"{inner}.fc1.bias"][3] = -gain * sign * float(marked.min() + others.max()) / 2
    if not unit.is_read:
        tensors[f"{inner}.fc2.weight"][:, 3] = 0
    torch.save(state, output / "model.pt")
    return output


def first_products(model: Path, layer: int, lines: Sequence[str], outputs: bool = False) -> tuple[Tensor, Tensor]:
    """The tokens of the lines, and what fairseq feeds a layer's first feed-forward product with for each, or what that
    gives: (tokens,) and (tokens, width)."""
    loaded, ids, found = XLMRModel.from_pretrained(str(model)).eval(), [], []
    module = loaded.model.encoder.sentence_encoder.layers[layer].fc1
    module.register_forward_hook(
        lambda module, given, output: found.append((output if outputs else given[0]).flatten(0, 1))
    )
    with torch.inference_mode():
        for line in lines:
            ids.append(loaded.encode(line))
            loaded.extract_features(ids[-1])
    return torch.cat(ids), torch.cat(found)
