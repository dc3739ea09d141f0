"""The form in which the program holds an encoder in memory, whatever files it came from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import (
    EMBEDDING,
    OUTPUT_EMBEDDING,
    POSITIONS,
    PROJECTION,
    expected_names,
    expected_shape,
)
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.tokenizers import Tokenizer
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary

_FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)  # 8-bit types would need scales


@dataclass(frozen=True)
class Checkpoint:
    """An encoder with its masked-LM head and vocabulary.

    tensors: float32, by fairseq's names, in the order of ``names.expected_names``; row i of an embedding belongs to
    token i of the vocabulary. tokenizer: the model's own tokenizer, if its files are there. task_heads: the other
    tensors of the checkpoint, such as those of a classification head, by fairseq's names.
    """

    config: EncoderConfig
    tensors: Mapping[str, Tensor]
    vocabulary: Vocabulary
    tokenizer: Tokenizer | None
    task_heads: Mapping[str, Tensor]


def assemble(
    path: Path,
    tensors: Mapping[str, Tensor],
    vocabulary: Vocabulary,
    tokenizer: Tokenizer | None,
    attention_heads: int,
) -> Checkpoint:
    """A checkpoint from its parts, after checking that they fit; ``path`` is named in errors.

    Raises FocusError for a missing tensor, a tensor whose shape does not fit the others or whose type is not floating,
    a vocabulary that is not as long as the embedding, missing special tokens, or a number of attention heads that does
    not divide the width.
    """
    layers = count_layers(tensors)
    tensors = {OUTPUT_EMBEDDING: tensors[EMBEDDING], **tensors} if EMBEDDING in tensors else tensors
    factorized = PROJECTION in tensors
    names = expected_names(layers, factorized)
    missing = [name for name in names if name not in tensors]
    if missing or not layers:
        raise FocusError(
            f"{path}: is not a complete RoBERTa encoder with a masked-LM head; it lacks "
            f"{f'{len(missing)} of its tensors, the first of them {missing[0]}' if missing else 'layers'}."
        )
    rows, length = len(tensors[EMBEDDING]), tensors[EMBEDDING].shape[-1]
    width = len(tensors[PROJECTION]) if factorized else length
    positions, feedforward = len(tensors[POSITIONS]), len(tensors["encoder.sentence_encoder.layers.0.fc1.weight"])
    for name in names:
        shape, wanted = tuple(tensors[name].shape), expected_shape(name, (rows, length), positions, width, feedforward)
        if shape != wanted or 0 in shape:
            raise FocusError(f"{path}: {name} has shape {shape}, but the other tensors require {wanted}.")
        if tensors[name].dtype not in _FLOATING:
            raise FocusError(
                f"{path}: {name} is {tensors[name].dtype}; quantized encoders cannot be converted, give the original."
            )
    _check_vocabulary(path, vocabulary, rows)
    if attention_heads < 1 or width % attention_heads:
        raise FocusError(f"{path}: {attention_heads} attention heads do not divide a width of {width}.")
    ordered = {name: tensors[name].to(torch.float32) for name in names}
    untied = not torch.equal(ordered[OUTPUT_EMBEDDING], ordered[EMBEDDING])
    if not untied:
        ordered[OUTPUT_EMBEDDING] = ordered[EMBEDDING]
    elif factorized:
        raise FocusError(f"{path}: has a factorized embedding and another output embedding; they must be the same.")
    config = EncoderConfig(
        layers, width, feedforward, attention_heads, positions - 2, untied, length if factorized else 0
    )
    task_heads = {name: value.to(torch.float32) for name, value in tensors.items() if not name.startswith("encoder.")}
    return Checkpoint(config, ordered, vocabulary, tokenizer, task_heads)


def _check_vocabulary(path: Path, vocabulary: Vocabulary, rows: int) -> None:
    if len(vocabulary) != rows:
        raise FocusError(
            f"{path}: the vocabulary has {len(vocabulary)} tokens (special tokens included) but the embedding "
            f"matrix has {rows} rows; the dictionary does not belong to this checkpoint."
        )
    if absent := [token for token in SPECIALS if token not in vocabulary.ids]:
        raise FocusError(f"{path}: the vocabulary lacks the special tokens {' '.join(absent)}.")


def multiplied_out(checkpoint: Checkpoint) -> Checkpoint:
    """``checkpoint`` with an embedding that is not factorized and has the same values."""
    if not checkpoint.config.factors:
        return checkpoint
    whole = whole_embedding(checkpoint.tensors)
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if name != PROJECTION}
    tensors |= {EMBEDDING: whole, OUTPUT_EMBEDDING: whole}
    return replace(checkpoint, config=replace(checkpoint.config, factors=0), tensors=tensors)


def whole_embedding(tensors: Mapping[str, Tensor]) -> Tensor:
    """The input embedding, (tokens, width), multiplied with its projection if it is factorized."""
    rows = tensors[EMBEDDING]
    return rows @ tensors[PROJECTION].T if PROJECTION in tensors else rows


def first_layers(checkpoint: Checkpoint, layers: int | None) -> Checkpoint:
    """``checkpoint`` with only its first ``layers`` layers; None for all. It must have that many."""
    if layers is None:
        return checkpoint
    config = replace(checkpoint.config, layers=layers)
    tensors = {name: checkpoint.tensors[name] for name in expected_names(layers, bool(config.factors))}
    return replace(checkpoint, config=config, tensors=tensors)


def count_layers(tensors: Mapping[str, Tensor]) -> int:
    """How many layers an encoder has, from the names of its tensors in fairseq."""
    return 1 + max((int(name.split(".")[3]) for name in tensors if ".sentence_encoder.layers." in name), default=-1)
