"""Decides from its ``config.json`` whether an encoder of transformers computes the same as fairseq's RoBERTa."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focus_plugin.errors import FocusError

SAME = ("xlm-roberta", "roberta", "camembert")  # one architecture under three names
_PRE_NORM = "normalizes before its blocks and not after them"
_OTHER = {
    "albert": "has the same weights in all layers",
    "bert": "has another epsilon in its layer norms, 1e-12",
    "big_bird": "has sparse attention",
    "deberta": "attends by relative positions",
    "deberta-v2": "attends by relative positions, as mDeBERTa and DeBERTa v3 do",
    "distilbert": "has another epsilon in its layer norms, 1e-12",
    "electra": "has no masked-LM head: it was trained to find replaced tokens",
    "eurobert": "has rotary positions and gated feed-forward blocks",
    "longformer": "has sparse attention",
    "modernbert": "has rotary positions and gated feed-forward blocks",
    "mpnet": "attends by relative positions",
    "roberta-prelayernorm": _PRE_NORM,
    "xlm-roberta-xl": _PRE_NORM,
    "xmod": "has adapters of each language",
}
# Setting: (transformers' default, the values that fairseq's RoBERTa computes, what any other value means).
_FEATURES: dict[str, tuple[object, tuple[object, ...], str]] = {
    "hidden_act": ("gelu", ("gelu",), "another activation"),
    "position_embedding_type": ("absolute", ("absolute", None), "another kind of positions"),
    "layer_norm_eps": (1e-12, (1e-5,), "another epsilon in the layer norms"),
    "is_decoder": (False, (False, None), "attention to the left only"),
    "quantization_config": (None, (None,), "quantized weights; give the original"),
    "auto_map": (None, (None, {}), "custom code of the model"),
}


@dataclass(frozen=True, kw_only=True)
class HuggingFaceConfig:
    """The settings of a ``config.json`` that decide how an encoder's weights are used.

    kind: its ``model_type``. pad: the id of ``<pad>``; the first position of a text is the next row of the position
    table. tied: whether the output embedding can be tied to the input embedding. sizes: settings that the shapes of the
    weights must agree with, by name.
    """

    kind: str
    attention_heads: int
    pad: int
    tied: bool
    sizes: Mapping[str, int]


def same_architecture(path: Path, config: Mapping[str, Any]) -> HuggingFaceConfig:
    """The settings in ``config``, the content of ``path``.

    Raises FocusError, with the reason, for an encoder that fairseq's RoBERTa cannot represent exactly.
    """
    kind = config.get("model_type")
    if kind not in SAME:
        reason = f", which {_OTHER[str(kind)]}" if str(kind) in _OTHER else ""
        raise FocusError(
            f"{path}: model_type is {kind!r}{reason}; only encoders of the types {', '.join(SAME)} can be converted."
        )
    for name, (default, known, otherwise) in _FEATURES.items():
        if (value := config.get(name, default)) not in known:
            wanted = f"{known[0]!r}" if known[0] is not None else "nothing"
            raise FocusError(
                f"{path}: {name} is {value!r}, that is {otherwise}; fairseq's RoBERTa supports only {wanted}."
            )
    sizes = ("num_hidden_layers", "hidden_size", "intermediate_size", "max_position_embeddings", "vocab_size")
    return HuggingFaceConfig(
        kind=kind,
        attention_heads=_count(path, config, "num_attention_heads"),
        pad=_count(path, {"pad_token_id": 1, **config}, "pad_token_id"),
        tied=config.get("tie_word_embeddings", True) is not False,
        sizes={name: _count(path, config, name) for name in sizes if name in config},
    )


def _count(path: Path, config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise FocusError(f"{path}: {name} is {value!r}; expected a number.")
    return value
