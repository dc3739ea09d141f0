"""Encoders in the layout of fairseq's XLM-R release: ``model.pt``, ``dict.txt`` and the tokenizer's file."""

import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from focus_plugin.checkpoint.checkpoint import Checkpoint, assemble
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING, from_old_fairseq
from focus_plugin.checkpoint.release_state import release_state
from focus_plugin.checkpoint.weights import load_pickled, named_tensors
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.files import DICTIONARY, tokenizer_file
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer
from focus_plugin.vocabulary.vocabulary import Vocabulary

RELEASE_MODEL = "model.pt"
_HEADS_OF_ARCH = {"roberta_large": 16, "xlmr_large": 16}
_NUMBERS_SHARE = 0.9  # share of a dictionary's tokens


def read_release(directory: Path) -> Checkpoint:
    """Read a release directory, also one of fairseq's first in 2019. Raises FocusError for unsupported settings."""
    path = directory / RELEASE_MODEL
    tensors, settings = load_fairseq(path)
    expected = {"encoder_normalize_before": False, "activation_fn": "gelu", "layernorm_embedding": True}
    for name, known in expected.items():
        if settings.get(name, known) != known:
            raise FocusError(f"{path}: {name} is {settings[name]!r}; only encoders with {known!r} can be converted.")
    attention_heads = settings.get("encoder_attention_heads") or _HEADS_OF_ARCH.get(str(settings.get("arch")), 12)
    found = tokenizer_file(directory)
    tokenizer = load_tokenizer(found) if found else None
    vocabulary = read_dictionary(directory / DICTIONARY)
    _require_text(directory / DICTIONARY, vocabulary)
    if not isinstance(attention_heads, int):
        raise FocusError(f"{path}: encoder_attention_heads is {attention_heads!r}; expected a number.")
    return assemble(path, tensors, vocabulary, tokenizer, attention_heads)


def _require_text(dictionary: Path, vocabulary: Vocabulary) -> None:
    """Raise FocusError if tokens are numbers: fairseq's English RoBERTa has GPT-2's ids instead of the tokens' text."""
    text = [token for token, special in zip(vocabulary.tokens, vocabulary.special, strict=True) if not special]
    numbers = sum(bool(re.fullmatch(r"\d+|madeupword\d+", token)) for token in text)
    if numbers > _NUMBERS_SHARE * len(text):
        raise FocusError(
            f"{dictionary}: its tokens are numbers, the ids of another tokenizer, as in fairseq's release of RoBERTa; "
            "give the encoder's Hugging Face directory instead, which holds the tokens' text."
        )


def load_fairseq(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """The weights, by the names of today's fairseq, and the model's settings of a checkpoint that fairseq wrote."""
    state = load_pickled(path)
    if not isinstance(state, Mapping) or "model" not in state:
        raise FocusError(f"{path}: is not a fairseq checkpoint; it has no 'model'.")
    settings, cfg = state.get("args"), state.get("cfg")
    if settings is None:
        settings = cfg.get("model") if isinstance(cfg, Mapping) else cfg
    settings = vars(settings) if isinstance(settings, Namespace) else settings or {}
    if not isinstance(settings, Mapping):
        raise FocusError(f"{path}: is not a fairseq checkpoint; its settings are a {type(settings).__name__}.")
    return from_old_fairseq(named_tensors(path, state["model"])), settings


def write_release(
    directory: Path, config: EncoderConfig, tensors: Mapping[str, Tensor], dictionary: Path, tokenizer: Path
) -> None:
    """Write ``model.pt`` and copy the vocabulary's files beside it.

    ``model.pt`` holds only tensors and plain values. Tensors are float32; a tied output embedding is written once.
    """
    whole = {name: tensor.to(torch.float32) for name, tensor in tensors.items()}
    if not config.untied:
        whole[OUTPUT_EMBEDDING] = whole[EMBEDDING]
    try:
        torch.save(release_state(config, whole), directory / RELEASE_MODEL)
    except RuntimeError as error:  # torch raises this if the disk is full
        raise FocusError(f"{directory / RELEASE_MODEL}: could not be written; is the disk full? ({error})") from error
    (directory / DICTIONARY).write_bytes(dictionary.read_bytes())
    (directory / tokenizer.name).write_bytes(tokenizer.read_bytes())
