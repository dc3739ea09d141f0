"""The encoder as an ONNX graph, written node by node from a checkpoint's tensors; no tracing, no torch."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.errors import FocusError

from .directory import POOLINGS

EPSILON = 1e-5
# fairseq counts positions on from the padding id, 1; the rows before are never a real token's.
FIRST_POSITION = 2
EXTERNAL_DATA_ABOVE = 1_800_000_000
_FUSED = "com.microsoft"
_OPSETS = (("", 17), (_FUSED, 1))
_IR_VERSION = 8


class _Graph:
    """Nodes and weights in the making. All but ``read`` return the name of what they added."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def read(self, name: str, *shape: int | None) -> np.ndarray:
        """The checkpoint's tensor as float32; FocusError if it is absent or not of ``shape`` (None: any size)."""
        if name not in self.tensors:
            raise FocusError(f"The checkpoint has no tensor {name}, which the encoder needs.")
        array = self.tensors[name]
        if any(want != size for want, size in zip_longest(shape, array.shape, fillvalue=0) if want is not None):
            needed = " x ".join("any" if size is None else str(size) for size in shape)
            raise FocusError(f"The checkpoint's tensor {name} has shape {array.shape}; the encoder needs {needed}.")
        return np.asarray(array, np.float32)

    def constant(self, name: str, array: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, name: str, *shape: int | None) -> str:
        return self.constant(name, self.read(name, *shape))

    def node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], output, domain=domain, **attributes))
        return output

    def fused(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        return self.node(operator, inputs, output, _FUSED, **attributes)

    def product(self, values: str, linear: str, outputs: int, inputs: int) -> str:
        """``values`` (..., inputs) times the transposed weight of ``linear``; its bias is left to the next node."""
        weight = self.constant(f"{linear}.weight", self.read(f"{linear}.weight", outputs, inputs).T)
        return self.node("MatMul", [values, weight], f"{linear}.product")


def build_graph(config: EncoderConfig, tensors: Mapping[str, np.ndarray], head: str) -> onnx.ModelProto:
    """The encoder with one head, float32, on ONNX Runtime's fused operators.

    ``tensors`` has fairseq's names (``encoder.sentence_encoder...``, ``classification_heads.{name}...``), linear
    weights as (out, in). ``head`` is a pooling, ``"mean"`` (over the real tokens) or ``"first"`` (the hidden state of
    ``<s>``), or else the name of a classification head.

    Inputs: ``input_ids`` int32 (batch, length), rows padded on the right with any id of the vocabulary; ``lengths``
    int32 (batch,), the real tokens of each row, at least 1. Outputs: ``hidden_states`` float32 (batch, length, width),
    zero at padding; and ``embedding`` (batch, width) or ``logits`` (batch, classes). What stands at padding
    influences no output. Raises FocusError if a tensor is missing or has another shape than ``config`` says.
    """
    graph = _Graph(tensors)
    hidden = _embeddings(graph, config)
    for layer in range(config.layers):
        hidden = _layer(graph, config, f"encoder.sentence_encoder.layers.{layer}", hidden)
    hidden = _zero_at_padding(graph, hidden)
    if head in POOLINGS:
        output, size = _pooled(graph, hidden, head), config.width
    else:
        output, size = _logits(graph, config, hidden, head)
    return _model(graph, config.width, output, size)


def _embeddings(graph: _Graph, config: EncoderConfig) -> str:
    """Token plus position embedding, normalised: (batch, length, width).

    Rows are padded on the right, so that a real token's position is its column; without explicit position ids the
    fused operator counts columns from 0, which the first row of a real position therefore has to stand at.
    """
    prefix = "encoder.sentence_encoder"
    table = f"{prefix}.embed_positions.weight"
    positions = graph.read(table, config.max_positions + FIRST_POSITION, config.width)
    inputs = [
        "input_ids",
        "",
        graph.weight(f"{prefix}.embed_tokens.weight", None, config.width),
        graph.constant(table, positions[FIRST_POSITION:]),
        "",
        graph.weight(f"{prefix}.layernorm_embedding.weight", config.width),
        graph.weight(f"{prefix}.layernorm_embedding.bias", config.width),
    ]
    output = graph.fused("EmbedLayerNormalization", inputs, f"{prefix}.embeddings", epsilon=EPSILON)
    graph.nodes[-1].output.append(f"{prefix}.no_mask")  # the operator's definition demands a second output
    return output


def _layer(graph: _Graph, config: EncoderConfig, prefix: str, hidden: str) -> str:
    """One post-layer-norm transformer layer over ``hidden`` (batch, length, width)."""
    attended = _attention(graph, config, f"{prefix}.self_attn", hidden)
    attended = graph.product(attended, f"{prefix}.self_attn.out_proj", config.width, config.width)
    hidden = _add_and_norm(
        graph, config, attended, hidden, f"{prefix}.self_attn.out_proj.bias", f"{prefix}.self_attn_layer_norm"
    )
    inner = graph.product(hidden, f"{prefix}.fc1", config.feedforward, config.width)
    bias = graph.weight(f"{prefix}.fc1.bias", config.feedforward)
    inner = graph.fused("BiasGelu", [inner, bias], f"{prefix}.gelu")
    outer = graph.product(inner, f"{prefix}.fc2", config.width, config.feedforward)
    return _add_and_norm(graph, config, outer, hidden, f"{prefix}.fc2.bias", f"{prefix}.final_layer_norm")


def _attention(graph: _Graph, config: EncoderConfig, prefix: str, hidden: str) -> str:
    """Self-attention of each real token over the real tokens of its row, before the output projection."""
    width = config.width
    weights = [graph.read(f"{prefix}.{part}_proj.weight", width, width).T for part in "qkv"]
    biases = [graph.read(f"{prefix}.{part}_proj.bias", width) for part in "qkv"]
    inputs = [
        hidden,
        graph.constant(f"{prefix}.qkv_proj.weight", np.concatenate(weights, axis=1)),
        graph.constant(f"{prefix}.qkv_proj.bias", np.concatenate(biases)),
        "lengths",
    ]
    lowest = float(np.finfo(np.float32).min)
    return graph.fused("Attention", inputs, f"{prefix}.heads", num_heads=config.heads, mask_filter_value=lowest)


def _add_and_norm(graph: _Graph, config: EncoderConfig, values: str, skip: str, bias: str, norm: str) -> str:
    """Layer normalisation of ``values`` + ``bias`` + ``skip``."""
    parameters = [graph.weight(name, config.width) for name in (f"{norm}.weight", f"{norm}.bias", bias)]
    return graph.fused("SkipLayerNormalization", [values, skip, *parameters], norm, epsilon=EPSILON)


def _zero_at_padding(graph: _Graph, hidden: str) -> str:
    """``hidden_states``: ``hidden`` with zeros at the positions beyond each row's length."""
    shape = graph.node("Shape", ["input_ids"], "shape", start=1, end=2)
    columns = graph.node("Cast", [graph.node("Squeeze", [shape], "columns_64")], "columns", to=TensorProto.INT32)
    zero = graph.constant("zero", np.array(0, np.int32))
    one = graph.constant("one", np.array(1, np.int32))
    positions = graph.node("Range", [zero, columns, one], "positions")
    ends = graph.node("Unsqueeze", ["lengths", graph.constant("last_axes", np.array([1, 2]))], "ends")
    column = graph.node("Unsqueeze", [positions, graph.constant("last_axis", np.array([1]))], "column")
    real = graph.node("Less", [column, ends], "real")
    nothing = graph.constant("nothing", np.array(0, np.float32))
    return graph.node("Where", [real, hidden, nothing], "hidden_states")


def _first(graph: _Graph, hidden: str, output: str) -> str:
    return graph.node("Gather", [hidden, graph.constant("first_column", np.array(0))], output, axis=1)


def _pooled(graph: _Graph, hidden: str, pooling: str) -> str:
    """``embedding`` (batch, width) of ``hidden``, which is zero at padding."""
    if pooling == "first":
        return _first(graph, hidden, "embedding")
    axis = graph.constant("token_axis", np.array([1]))
    total = graph.node("ReduceSum", [hidden, axis], "sum", keepdims=0)
    lengths = graph.node("Cast", ["lengths"], "float_lengths", to=TensorProto.FLOAT)
    return graph.node("Div", [total, graph.node("Unsqueeze", [lengths, axis], "counts")], "embedding")


def _logits(graph: _Graph, config: EncoderConfig, hidden: str, name: str) -> tuple[str, int]:
    """``logits`` of the classification head ``name`` and the number of its classes."""
    prefix = f"classification_heads.{name}"
    weight = graph.weight(f"{prefix}.dense.weight", config.width, config.width)
    bias = graph.weight(f"{prefix}.dense.bias", config.width)
    dense = graph.node("Gemm", [_first(graph, hidden, "first"), weight, bias], f"{prefix}.dense", transB=1)
    dense = graph.node("Tanh", [dense], f"{prefix}.tanh")
    classes = graph.read(f"{prefix}.out_proj.weight", None, config.width).shape[0]
    weight = graph.weight(f"{prefix}.out_proj.weight", classes, config.width)
    bias = graph.weight(f"{prefix}.out_proj.bias", classes)
    return graph.node("Gemm", [dense, weight, bias], "logits", transB=1), classes


def _model(graph: _Graph, width: int, output: str, size: int) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["batch", "length"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]),
    ]
    outputs = [
        helper.make_tensor_value_info("hidden_states", TensorProto.FLOAT, ["batch", "length", width]),
        helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", size]),
    ]
    proto = helper.make_graph(graph.nodes, "encoder", inputs, outputs, graph.initializers)
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS]
    return helper.make_model(proto, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="focus-fairseq")


def save_graph(model: onnx.ModelProto, path: str | Path, external_above: int = EXTERNAL_DATA_ABOVE) -> None:
    """Write ``model`` to ``path``; weights of more than ``external_above`` bytes go to ``path`` + ``.data`` beside it.

    An ONNX file cannot exceed 2 GB. With external data the weights are moved out of ``model``, which is then spent.
    """
    path = Path(path)
    size = sum(len(initializer.raw_data) for initializer in model.graph.initializer)
    if size > external_above:
        onnx.save_model(model, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=1024)
    else:
        onnx.save_model(model, path)
