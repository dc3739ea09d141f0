"""Encoders in the layout of fairseq's XLM-R release: ``model.pt``, ``dict.txt`` and the tokenizer's file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from focus_plugin.checkpoint.checkpoint import Checkpoint, assemble
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING, from_old_fairseq
from focus_plugin.checkpoint.release_state import release_state
from focus_plugin.checkpoint.weights import load_pickled
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.files import DICTIONARY, tokenizer_file
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer

MODEL = "model.pt"
_HEADS_OF_ARCH = {"roberta_large": 16, "xlmr_large": 16}


def read_release(directory: Path) -> Checkpoint:
    """Read a release directory, of any age since 2019. Raises FocusError for what it cannot represent exactly."""
    path = directory / MODEL
    tensors, settings = load_fairseq(path)
    expected = {"encoder_normalize_before": False, "activation_fn": "gelu", "layernorm_embedding": True}
    for name, known in expected.items():
        if settings.get(name, known) != known:
            raise FocusError(f"{path}: {name} is {settings[name]!r}; only encoders with {known!r} are converted.")
    heads = settings.get("encoder_attention_heads") or _HEADS_OF_ARCH.get(str(settings.get("arch")), 12)
    found = tokenizer_file(directory)
    tokenizer = load_tokenizer(found) if found else None
    return assemble(path, tensors, read_dictionary(directory / DICTIONARY), tokenizer, int(heads))


def load_fairseq(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """Weights under today's names, and the settings of the model, from any checkpoint fairseq wrote."""
    state = load_pickled(path)
    if not isinstance(state, dict) or not isinstance(state.get("model"), Mapping):
        raise FocusError(f"{path}: not a fairseq checkpoint; it has no 'model'.")
    args, cfg = state.get("args"), state.get("cfg") or {}
    settings = vars(args) if args is not None else cfg.get("model") or {}
    return from_old_fairseq(state["model"]), settings if isinstance(settings, Mapping) else vars(settings)


def write_release(
    directory: Path, config: EncoderConfig, tensors: Mapping[str, Tensor], dictionary: Path, tokenizer: Path
) -> None:
    """Write ``model.pt`` from tensors and plain values alone, and copy the vocabulary's files beside it.

    Tensors are written as float32, a tied output embedding once.
    """
    whole = {name: tensor.to(torch.float32) for name, tensor in tensors.items()}
    if not config.untied:
        whole[OUTPUT_EMBEDDING] = whole[EMBEDDING]
    try:
        torch.save(release_state(config, whole), directory / MODEL)
    except RuntimeError as error:  # torch's own writer reports a full disk so
        raise FocusError(f"{directory / MODEL}: could not be written; is the disk full? ({error})") from error
    (directory / DICTIONARY).write_bytes(dictionary.read_bytes())
    (directory / tokenizer.name).write_bytes(tokenizer.read_bytes())
