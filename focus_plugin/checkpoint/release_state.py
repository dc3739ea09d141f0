"""The contents of a ``model.pt`` that fairseq loads anywhere, as tensors and plain Python values alone."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from focus_plugin.checkpoint.config import EncoderConfig

if TYPE_CHECKING:
    import torch


def release_state(config: EncoderConfig, tensors: "Mapping[str, torch.Tensor]") -> dict[str, Any]:
    """The state to save with ``torch.save`` so that stock fairseq takes it for one of its XLM-R releases.

    ``tensors`` has fairseq's names, classification heads included. What is saved needs no plugin and no
    allow-list: ``XLMRModel.from_pretrained`` loads it from a directory that also holds ``dict.txt`` and
    ``sentencepiece.bpe.model``, ``fairseq-train --finetune-from-model`` starts from it and ``fairseq-validate
    --path`` evaluates it.
    """
    return {
        "args": None,
        "cfg": _configuration(config),
        "model": dict(tensors),
        # fairseq-train reads these even where it starts anew from the weights alone.
        "optimizer_history": [{"optimizer_name": "", "criterion_name": "", "lr_scheduler_state": {}, "num_updates": 0}],
        "extra_state": {"train_iterator": {"epoch": 1}},
        "last_optimizer_state": None,
    }


def _configuration(config: EncoderConfig) -> dict[str, Any]:
    """fairseq overwrites only keys that a checkpoint has, so everything it must be able to set stands here."""
    return {
        "common": {"seed": 1, "tpu": False},
        "task": {"_name": "masked_lm", "data": "", "tokens_per_sample": config.max_positions},
        "criterion": {"_name": "masked_lm"},
        "bpe": None,
        "model": {
            "_name": "roberta",
            **fairseq_shape(config),
            "load_checkpoint_heads": True,
        },
    }


def fairseq_shape(config: EncoderConfig) -> dict[str, int | bool]:
    """``config`` under the names of fairseq's model options."""
    return {
        "encoder_layers": config.layers,
        "encoder_embed_dim": config.width,
        "encoder_ffn_embed_dim": config.feedforward,
        "encoder_attention_heads": config.attention_heads,
        "max_positions": config.max_positions,
        "untie_weights_roberta": config.untied,
    }
