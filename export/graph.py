"""Builds the ONNX graph of an encoder node by node from a checkpoint's tensors, without tracing and without torch."""

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

from focus_plugin.checkpoint.config import EncoderConfig

from .directory import HIDDEN_STATES, INPUTS, graph_outputs
from .head import LENGTH, ServingHead
from .int8 import Int8Nodes, Ranges
from .nodes import Nodes
from .onnx_file import Graph

EPSILON = 1e-5
# fairseq's first position is the padding id + 1, that is 2. Earlier rows of the position table are not used.
FIRST_POSITION = 2
_ENCODER = "encoder.sentence_encoder"
_SHAPE = ("batch", LENGTH)
_FLOATS: dict[str, type[Any]] = {"fp32": np.float32, "fp16": np.float16, "bf16": ml_dtypes.bfloat16}


def build_graph(
    config: EncoderConfig,
    tensors: Mapping[str, np.ndarray],
    head: ServingHead,
    precision: str = "fp32",
    hidden_states: bool = False,
    ranges: Ranges | None = None,
) -> Graph:
    """The graph of the encoder with one head. It uses ONNX Runtime's fused operators where they are the fastest.

    ``tensors``: by fairseq's names (``encoder.sentence_encoder...``); the names of the head's tensors begin with
    ``head.``. Linear weights are (out, in). ``precision``: "fp32", "fp16", "bf16" (the head is in float32) or "int8".
    ``ranges``: only for "int8", see :class:`Int8Nodes`.

    Inputs: ``input_ids``, int32 (batch, length), rows padded on the right with any id of the vocabulary; ``lengths``,
    int32 (batch,), the number of real tokens of each row, at least 1. Outputs, float32: those of the head and, with
    ``hidden_states``, the output "hidden_states" (batch, length, width), zero at padding. Without it, the last layer is
    computed only for ``<s>`` if the head reads no other token. The ids at padding have no influence on the outputs,
    except on the scales that an int8 graph measures. Raises FocusError if a tensor is missing or its shape does not fit
    ``config`` or the head.
    """
    nodes = Int8Nodes(tensors, ranges) if precision == "int8" else Nodes(tensors, _FLOATS[precision])
    positions = nodes.read(f"{_ENCODER}.embed_positions.weight", config.max_positions + FIRST_POSITION, config.width)
    rows = nodes.rows(f"{_ENCODER}.embed_tokens.weight", config.row_length)
    if config.factors:
        rows = nodes.projected(rows, f"{_ENCODER}.embed_tokens.projection", config.width, config.factors)
    # Rows are padded on the right, so the position of a token is its column.
    terms = [rows, nodes.columns("positions", positions[FIRST_POSITION:])]
    hidden = nodes.normalized_sum(
        terms, f"{_ENCODER}.layernorm_embedding", config.width, f"{_ENCODER}.embeddings", EPSILON
    )
    for layer in range(config.layers):
        only_first = layer == config.layers - 1 and head.first_token_only and not hidden_states
        hidden = _layer(nodes, config, f"{_ENCODER}.layers.{layer}", hidden, only_first)
    if nodes.dtype != np.float32:
        hidden = nodes.cast(hidden, "float_hidden", np.float32)
        nodes.dtype = np.float32
    if hidden_states or not head.first_token_only:
        nodes.real_tokens(config.max_positions)
    head.add_nodes(nodes, hidden, config.width)
    if hidden_states:
        nodes.without_padding(hidden, HIDDEN_STATES)
    inputs = [_value(name, TensorProto.INT32, *shape) for name, shape in zip(INPUTS, (_SHAPE, _SHAPE[:1]), strict=True)]
    outputs = [
        _value(output.name, TensorProto.FLOAT, _SHAPE[0], *output.shape)
        for output in graph_outputs(head, config.width, hidden_states)
    ]
    return Graph(nodes.nodes, nodes.weights, inputs, outputs)


def _layer(nodes: Nodes, config: EncoderConfig, prefix: str, hidden: str, only_first: bool) -> str:
    """One post-layer-norm transformer layer over ``hidden`` (batch, length, width).

    ``only_first``: compute only the state of the first token, (batch, 1, width), which attends to all tokens.
    """
    linears = [f"{prefix}.self_attn.{part}_proj" for part in "qkv"]
    into = (linears, f"{prefix}.self_attn.attended", config.width)
    finfo: Any = ml_dtypes.finfo  # untyped
    settings: dict[str, Any] = {"num_heads": config.attention_heads, "mask_filter_value": float(finfo(nodes.dtype).min)}
    if only_first:
        first = nodes.first(hidden)
        attended, hidden = nodes.attention(first, hidden, *into, **settings), first
    else:
        attended = nodes.self_attention(hidden, *into, **settings)
    attended = nodes.product(attended, f"{prefix}.self_attn.out_proj", config.width, config.width)
    norm = f"{prefix}.self_attn_layer_norm"
    hidden = _add_and_norm(nodes, config, attended, hidden, f"{prefix}.self_attn.out_proj.bias", norm)
    inner = nodes.product(hidden, f"{prefix}.fc1", config.feedforward, config.width)
    inner = nodes.fused("BiasGelu", [inner, nodes.weight(f"{prefix}.fc1.bias", config.feedforward)], f"{prefix}.gelu")
    outer = nodes.product(inner, f"{prefix}.fc2", config.width, config.feedforward)
    return _add_and_norm(nodes, config, outer, hidden, f"{prefix}.fc2.bias", f"{prefix}.final_layer_norm")


def _add_and_norm(nodes: Nodes, config: EncoderConfig, values: str, skip: str, bias: str, norm: str) -> str:
    """Layer normalization of ``values`` + ``skip`` + ``bias``."""
    terms = [values, skip, nodes.weight(bias, config.width)]
    return nodes.normalized_sum(terms, norm, config.width, norm, EPSILON)


def _value(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
