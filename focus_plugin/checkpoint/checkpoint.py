"""The one form in which the program holds an encoder, whatever files it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING, POSITIONS, expected_names, expected_shape
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.tokenizers import Tokenizer
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary

_FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)  # 8 bits need scales beside them


@dataclass(frozen=True)
class Checkpoint:
    """An encoder with its masked-LM head and vocabulary.

    tensors: float32 under fairseq's names, in the order of ``names.expected_names``; the rows of the embeddings
    are the vocabulary's tokens. tokenizer: how the model's own tokenizer cuts text, if its files are there.
    task_heads: what the checkpoint has beside them, such as a classification head, under fairseq's names.
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
    """Check that the parts fit and put them in order; ``path`` is named in errors.

    Raises FocusError for a missing tensor, one whose shape does not fit the others or that is not floating, a
    vocabulary that is not as long as the embedding, missing special tokens, or attention heads that do not divide
    the width.
    """
    layers = count_layers(tensors)
    tensors = {OUTPUT_EMBEDDING: tensors[EMBEDDING], **tensors} if EMBEDDING in tensors else tensors
    names = expected_names(layers)
    missing = [name for name in names if name not in tensors]
    if missing or not layers:
        raise FocusError(
            f"{path}: is not a whole RoBERTa encoder with a masked-LM head; it lacks {len(missing)} tensors"
            f"{f', the first of them {missing[0]}' if missing else ''}."
        )
    rows, width = len(tensors[EMBEDDING]), tensors[EMBEDDING].shape[-1]
    positions, feedforward = len(tensors[POSITIONS]), len(tensors["encoder.sentence_encoder.layers.0.fc1.weight"])
    for name in names:
        shape, wanted = tuple(tensors[name].shape), expected_shape(name, rows, positions, width, feedforward)
        if shape != wanted or 0 in shape:
            raise FocusError(f"{path}: {name} has shape {shape}; beside the other tensors it must have {wanted}.")
        if tensors[name].dtype not in _FLOATING:
            raise FocusError(
                f"{path}: {name} is {tensors[name].dtype}; quantized encoders are not converted, give the original."
            )
    if len(vocabulary) != rows:
        raise FocusError(
            f"{path}: the vocabulary has {len(vocabulary)} tokens (special tokens included) but the embedding "
            f"matrix {rows} rows; the dictionary does not belong to this checkpoint."
        )
    if absent := [token for token in SPECIALS if token not in vocabulary.ids]:
        raise FocusError(f"{path}: the vocabulary lacks the special tokens {' '.join(absent)}.")
    if attention_heads < 1 or width % attention_heads:
        raise FocusError(f"{path}: {attention_heads} attention heads do not divide a width of {width}.")
    ordered = {name: tensors[name].to(torch.float32) for name in names}
    untied = not torch.equal(ordered[OUTPUT_EMBEDDING], ordered[EMBEDDING])
    if not untied:
        ordered[OUTPUT_EMBEDDING] = ordered[EMBEDDING]
    config = EncoderConfig(layers, width, feedforward, attention_heads, positions - 2, untied)
    task_heads = {name: value.to(torch.float32) for name, value in tensors.items() if not name.startswith("encoder.")}
    return Checkpoint(config, ordered, vocabulary, tokenizer, task_heads)


def count_layers(tensors: Mapping[str, Tensor]) -> int:
    """How many layers an encoder has, from the names of its tensors in fairseq."""
    return 1 + max((int(name.split(".")[3]) for name in tensors if ".sentence_encoder.layers." in name), default=-1)
