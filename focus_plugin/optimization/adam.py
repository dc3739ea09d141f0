"""The optimizer ``focus_adam``: AdamW with a learning rate of their own for the rows and the bias of tokens."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from fairseq.optim import FairseqOptimizer, register_optimizer
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from torch import nn

from focus_plugin.errors import FocusError
from focus_plugin.optimization.groups import grouped

_RATIO = "lr_ratio"


@dataclass
class FocusAdamConfig(FairseqAdamConfig):
    """Those of fairseq's ``adam``; ``lr`` is the learning rate of the encoder's body."""

    embedding_lr_ratio: float = field(
        default=10.0, metadata={"help": "learning rate of embeddings and output bias, as a multiple of --lr"}
    )
    layer_lr_decay: float = field(
        default=1.0,
        metadata={"help": "learning rate of each layer, as a multiple of that of the layer above it; heads have --lr"},
    )


@register_optimizer("focus_adam", dataclass=FocusAdamConfig)
class FocusAdam(FairseqAdam):
    """AdamW (Loshchilov & Hutter 2019) in one pass over each parameter, for the architectures of the plugin.

    The learning rate can fall from layer to layer (discriminative fine-tuning, Howard & Ruder 2018, section 3.2).

    Weight decay is not applied to embeddings, layer norms and biases.
    """

    def __init__(self, cfg: FocusAdamConfig, params: Iterable[nn.Parameter]) -> None:
        FairseqOptimizer.__init__(self, cfg)
        options = self.optimizer_config
        listed = list(params)
        if any(not hasattr(parameter, "param_group") for parameter in listed):
            raise FocusError(
                "--optimizer focus_adam needs an --arch of this plugin, and --fp16-no-flatten-grads with --fp16 and "
                "--bf16, so that it can tell embeddings from other parameters."
            )
        by_group = grouped(listed, by_height=cfg.layer_lr_decay != 1)
        top = max((group.height or 0) for group in by_group) + 1
        groups = [
            {
                "params": members,
                _RATIO: (cfg.embedding_lr_ratio if group.of_tokens else 1.0)
                * cfg.layer_lr_decay ** (0 if group.height is None else top - group.height),
                "weight_decay": options["weight_decay"] if group.decayed else 0.0,
            }
            for group, members in by_group.items()
        ]
        self._optimizer = torch.optim.AdamW(groups, **options, fused=True)
        self.set_lr(options["lr"])

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of the body, and of the others in proportion."""
        for group in self.param_groups:
            group["lr"] = lr * group[_RATIO]
