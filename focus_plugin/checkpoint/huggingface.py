"""Encoders in a Hugging Face directory: ``config.json``, weights and tokenizer files."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from focus_plugin.checkpoint.checkpoint import Checkpoint, assemble
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING, POSITIONS, from_hugging_face
from focus_plugin.checkpoint.weights import load_pickled, load_safetensors
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.files import SENTENCEPIECE
from focus_plugin.vocabulary.readers import read_sentencepiece, read_tokenizer_json, read_vocab_json
from focus_plugin.vocabulary.tokenizers import (
    Tokenizer,
    byte_level_tokenizer,
    hugging_face_tokenizer,
    sentencepiece_tokenizer,
)
from focus_plugin.vocabulary.vocabulary import Vocabulary

CONFIG = "config.json"
# What transformers assumes where config.json is silent, and what an encoder must have to be the same in fairseq.
_EXPECTED: dict[str, tuple[object, tuple[object, ...]]] = {
    "model_type": (None, ("xlm-roberta", "roberta")),
    "hidden_act": ("gelu", ("gelu",)),
    "position_embedding_type": ("absolute", ("absolute",)),
    "layer_norm_eps": (1e-12, (1e-5,)),
    "pad_token_id": (1, (1,)),
}
_ROWS = (EMBEDDING, OUTPUT_EMBEDDING, OUTPUT_BIAS)


def read_huggingface(directory: Path) -> Checkpoint:
    """Read an XLM-R or RoBERTa directory. Raises FocusError for what this program cannot represent exactly."""
    config = _read_config(directory / CONFIG)
    tensors = from_hugging_face(weights := _read_weights(directory))
    _fold_token_types(weights, tensors)
    vocabulary, tokenizer = _read_tokenizer(directory)
    rows = len(tensors.get(EMBEDDING, ()))
    if rows % 8 == 0 and 0 < rows - len(vocabulary) < 128:  # rows without a token, to make the size a round number
        tensors.update({name: tensors[name][: len(vocabulary)] for name in _ROWS if name in tensors})
    return assemble(directory, tensors, vocabulary, tokenizer, config["num_attention_heads"])


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise FocusError(f"{path}: not a JSON object ({error}).") from error
    for key, (default, known) in _EXPECTED.items():
        if (value := config.get(key, default)) not in known:
            names = " or ".join(str(value) for value in known)
            raise FocusError(f"{path}: {key} is {value!r}; this program converts encoders with {names} only.")
    if not isinstance(config.get("num_attention_heads"), int):
        raise FocusError(f"{path}: num_attention_heads is missing.")
    return config


def _read_weights(directory: Path) -> dict[str, Tensor]:
    if (path := directory / "model.safetensors").is_file():
        return load_safetensors(path)
    if (path := directory / "pytorch_model.bin").is_file():
        return load_pickled(path)
    raise FocusError(f"{directory}: has neither model.safetensors nor pytorch_model.bin.")


def _fold_token_types(weights: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    """fairseq has no token types. Type 0 stands at every position, so its vector can be part of each position's."""
    types = next((value for name, value in weights.items() if name.endswith("token_type_embeddings.weight")), None)
    if types is not None and POSITIONS in tensors and torch.any(types[0] != 0):
        tensors[POSITIONS] = tensors[POSITIONS] + types[0]


def _read_tokenizer(directory: Path) -> tuple[Vocabulary, Tokenizer]:
    if (path := directory / "tokenizer.json").is_file():
        return read_tokenizer_json(path), hugging_face_tokenizer(path)
    if (path := directory / SENTENCEPIECE).is_file():
        return read_sentencepiece(path), sentencepiece_tokenizer(path)
    if (path := directory / "vocab.json").is_file() and (directory / "merges.txt").is_file():
        return read_vocab_json(path), byte_level_tokenizer(path, directory / "merges.txt")
    raise FocusError(
        f"{directory}: has no tokenizer; looked for tokenizer.json, {SENTENCEPIECE}, and vocab.json with merges.txt."
    )
