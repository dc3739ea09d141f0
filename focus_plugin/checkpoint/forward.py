"""The forward pass of an encoder as a function of its tensors, without fairseq."""

from collections.abc import Iterator, Mapping

from torch import Tensor
from torch.nn.functional import embedding, gelu, layer_norm, linear, scaled_dot_product_attention

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import EMBEDDING, POSITIONS, PROJECTION

_ENCODER = "encoder.sentence_encoder"
_FIRST_POSITION = 2  # the row of the position table that fairseq uses for the first token


def hidden_states(
    config: EncoderConfig, tensors: Mapping[str, Tensor], ids: Tensor, padding: Tensor | None = None
) -> Tensor:
    """The last layer's states; see :func:`layer_states`."""
    for states in layer_states(config, tensors, ids, padding):  # noqa: B007
        pass
    return states


def layer_states(
    config: EncoderConfig, tensors: Mapping[str, Tensor], ids: Tensor, padding: Tensor | None = None
) -> Iterator[Tensor]:
    """The states of the embedding layer and of each layer for ``ids``, shape (batch, length).

    Each has shape (batch, length, width). ``padding``: (batch, length), True for the tokens behind a text, to which no
    token attends; None if there are none. Post-norm Transformer as in Devlin et al. (2019), without dropout.
    """
    positions = tensors[POSITIONS][_FIRST_POSITION : _FIRST_POSITION + ids.shape[1]]
    tokens = embedding(ids, tensors[EMBEDDING])
    if PROJECTION in tensors:
        tokens = linear(tokens, tensors[PROJECTION])
    yield from transformed(config, tensors, tokens + positions, padding)


def transformed(
    config: EncoderConfig, tensors: Mapping[str, Tensor], embedded: Tensor, padding: Tensor | None = None
) -> Iterator[Tensor]:
    """As :func:`layer_states`, for sums of embeddings and positions, (batch, length, width)."""
    attended_to = None if padding is None else ~padding[:, None, None]
    states = _norm(tensors, f"{_ENCODER}.layernorm_embedding", embedded)
    yield states
    for i in range(config.layers):
        layer = f"{_ENCODER}.layers.{i}"
        attended = _attention(config, tensors, f"{layer}.self_attn", states, attended_to)
        states = _norm(tensors, f"{layer}.self_attn_layer_norm", states + attended)
        inner = gelu(linear_layer(tensors, f"{layer}.fc1", states))
        states = _norm(tensors, f"{layer}.final_layer_norm", states + linear_layer(tensors, f"{layer}.fc2", inner))
        yield states


def head_states(tensors: Mapping[str, Tensor], states: Tensor) -> Tensor:
    """The states that the masked-LM head multiplies with the output embedding; as long as its rows."""
    states = _norm(tensors, "encoder.lm_head.layer_norm", gelu(linear_layer(tensors, "encoder.lm_head.dense", states)))
    return states @ tensors[PROJECTION] if PROJECTION in tensors else states


def _attention(
    config: EncoderConfig, tensors: Mapping[str, Tensor], name: str, states: Tensor, attended_to: Tensor | None
) -> Tensor:
    query, key, value = (
        linear_layer(tensors, f"{name}.{part}_proj", states)
        .view(*states.shape[:2], config.attention_heads, -1)
        .transpose(1, 2)
        for part in ("q", "k", "v")
    )
    mixed = scaled_dot_product_attention(query, key, value, attended_to).transpose(1, 2).flatten(2)
    return linear_layer(tensors, f"{name}.out_proj", mixed)


def linear_layer(tensors: Mapping[str, Tensor], name: str, states: Tensor) -> Tensor:
    """The states, (..., inputs), through the linear layer ``name``; (..., outputs)."""
    return linear(states, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _norm(tensors: Mapping[str, Tensor], name: str, states: Tensor) -> Tensor:
    weight = tensors[f"{name}.weight"]
    return layer_norm(states, weight.shape, weight, tensors[f"{name}.bias"])
