"""The settings of a hypernetwork: the ``config.json`` of ZeTT."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.readers import read_json

_ONLY: Mapping[str, tuple[Any, Any]] = {  # a setting's value if it is missing, and the only value that is supported
    "hn_model_type": ("roberta", "roberta"),
    "hn_embed_using_source_embeddings": (False, True),
    "hn_concat_last_hidden_state": (False, False),
    "hn_add_inter_token_attention": (False, False),
    "hn_embed_target_priors": (False, False),
    "hn_language_adapter_bottleneck_dim": (0, 0),
}


@dataclass(frozen=True, kw_only=True)
class HypernetworkConfig:
    """The shape of a hypernetwork, and of the model that it was trained for.

    encoder: its transformer, which reads the pieces of a token; ``max_positions`` is the largest number of pieces.
    source: tokens of the model that it was trained for, and row_length: the length of their embeddings. extra: pieces
    that are not among these tokens, with embeddings of the hypernetwork's own. padding: the id after the last piece.
    untied: whether the model has an output embedding of its own; single_head: whether both are then predicted as one
    row. rescaled: whether input and output are scaled. biased: whether the output bias is predicted. languages: the
    codes of the languages that it was told in training, in the order of its embeddings of them, and language_count:
    the number of these embeddings; 0 if it is told no language.
    """

    encoder: EncoderConfig
    source: int
    row_length: int
    extra: int
    padding: int
    untied: bool
    single_head: bool
    rescaled: bool
    biased: bool
    languages: tuple[str, ...]
    language_count: int


def read_config(path: Path) -> HypernetworkConfig:
    """The settings in ``path``. Raises FocusError if it is no ``config.json`` of a hypernetwork that is supported."""
    content = read_json(path)
    if "hn_surface_maxlen" not in content:
        raise FocusError(f"{path}: has no hn_surface_maxlen; expected the config.json of a hypernetwork of ZeTT.")
    for name, (missing, supported) in _ONLY.items():
        if (value := content.get(name, missing)) != supported:
            raise FocusError(f"{path}: {name} is {value!r}; hypernetworks are supported only with {supported!r}.")
    base = content.get("hn_model_name_or_path", "roberta-base")
    if str(base).rpartition("/")[2] not in ("roberta-base", "roberta-large"):  # their settings are all the same
        raise FocusError(f"{path}: hn_model_name_or_path is {base!r}; only the transformer of RoBERTa is supported.")
    width = _number(path, content, "hn_hidden_size")
    heads = _number(path, content, "hn_num_attention_heads", width // 64)
    if not heads or width % heads:
        raise FocusError(f"{path}: hn_hidden_size is {width}, which {heads} attention heads cannot share.")
    languages = content.get("langs") or []
    if not isinstance(languages, list):
        raise FocusError(f"{path}: langs is not a list of the codes of languages.")
    return HypernetworkConfig(
        encoder=EncoderConfig(
            layers=_number(path, content, "hn_n_layers", 3),
            width=width,
            feedforward=_number(path, content, "hn_intermediate_size"),
            attention_heads=heads,
            max_positions=_number(path, content, "hn_surface_maxlen"),
        ),
        source=_number(path, content, "original_vocab_size"),
        row_length=_number(path, content, "n_embd", 768),
        extra=_number(path, content, "hn_n_extra_tokens", least=0),
        padding=_number(path, content, "pad_token_id", least=0),
        untied=bool(content.get("separate_out_embeddings", False)),
        single_head=bool(content.get("hn_single_head", False)),
        rescaled=bool(content.get("hn_rescale_embeddings", False)),
        biased=bool(content.get("hn_predict_bias", True)),
        languages=tuple(map(str, languages)),
        language_count=_number(path, content, "n_langs") if content.get("hn_embed_lang_id") else 0,
    )


def _number(path: Path, content: Mapping[str, Any], name: str, missing: int | None = None, least: int = 1) -> int:
    value = content.get(name)
    value = missing if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise FocusError(f"{path}: {name} is {value!r}; expected a whole number, {least} or more.")
    return value
