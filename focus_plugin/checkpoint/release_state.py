"""The contents of a ``model.pt`` that fairseq loads: only tensors and plain Python values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from focus_plugin.checkpoint.config import EncoderConfig

if TYPE_CHECKING:
    import torch


def release_state(config: EncoderConfig, tensors: "Mapping[str, torch.Tensor]") -> dict[str, Any]:
    """The state to save with ``torch.save`` so that fairseq without our plugin loads it as one of its XLM-R releases.

    ``tensors``: by fairseq's names, task heads included. Loading needs neither the plugin nor an allow-list:
    ``XLMRModel.from_pretrained`` loads it from a directory that also holds ``dict.txt`` and
    ``sentencepiece.bpe.model``, ``fairseq-train --finetune-from-model`` starts from it and ``fairseq-validate
    --path`` evaluates it. A model with a factorized embedding, which fairseq's RoBERTa does not have, is one of our
    plugin, so fairseq needs ``--user-dir``.
    """
    return {
        "args": None,
        "cfg": _configuration(config),
        "model": dict(tensors),
        # fairseq-train reads these even if it uses only the weights.
        "optimizer_history": [{"optimizer_name": "", "criterion_name": "", "lr_scheduler_state": {}, "num_updates": 0}],
        "extra_state": {"train_iterator": {"epoch": 1}},
        "last_optimizer_state": None,
    }


def _configuration(config: EncoderConfig) -> dict[str, Any]:
    """The configuration, with every key that fairseq must be able to set: it overwrites only keys that exist."""
    return {
        "common": {"seed": 1, "tpu": False},
        "task": {"_name": "masked_lm", "data": "", "tokens_per_sample": config.max_positions},
        "criterion": {"_name": "masked_lm"},
        "bpe": None,
        "model": {
            "_name": "focus_roberta" if config.factors else "roberta",
            **fairseq_shape(config),
            "load_checkpoint_heads": True,
            **({"focus_built": True} if config.factors else {}),
        },
    }


def fairseq_shape(config: EncoderConfig) -> dict[str, int | bool]:
    """``config`` by the names of fairseq's model options."""
    return {
        "encoder_layers": config.layers,
        "encoder_embed_dim": config.width,
        "encoder_ffn_embed_dim": config.feedforward,
        "encoder_attention_heads": config.attention_heads,
        "max_positions": config.max_positions,
        "untie_weights_roberta": config.untied,
        **({"embedding_factors": config.factors} if config.factors else {}),
    }
