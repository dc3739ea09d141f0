"""Lets an encoder of fairseq's compute as the faster code of the plugin."""

from fairseq.modules import MultiheadAttention
from fairseq.modules.fairseq_dropout import FairseqDropout
from fairseq.modules.gelu import gelu
from fairseq.modules.transformer_layer import TransformerEncoderLayerBase
from torch import nn
from torch.nn import functional

from focus_plugin.models.attention import SelfAttention
from focus_plugin.models.dropout import Dropout

_FASTER: dict[type[nn.Module], type[nn.Module]] = {MultiheadAttention: SelfAttention, FairseqDropout: Dropout}


def use_fast_layers(model: nn.Module) -> None:
    """Replace attention and dropout; the weights stay in place. GELU need not convert its input to float32."""
    for module in model.modules():
        module.__class__ = _FASTER.get(type(module), type(module))
        if isinstance(module, TransformerEncoderLayerBase) and module.activation_fn is gelu:
            module.activation_fn = functional.gelu
