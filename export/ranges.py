"""Measures the values of a float32 graph on text, to fix the scales of int8 and to find overflows of float16."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from .directory import INPUTS
from .int8 import Ranges
from .onnx_file import Graph, write_graph
from .verify import PaddedBatch


def measured_ranges(exact: Graph, names: Sequence[str], batches: Iterable[PaddedBatch], scratch: Path) -> Ranges:
    """The smallest and the largest value of each of the float32 tensors ``names`` of ``exact``, padding included.

    A batch is ids, int32 (batch, length), and lengths, int32 (batch,). ``scratch``: a directory for a temporary copy of
    the model.
    """
    ends = [(f"{name}.{operator}", operator, name) for name in names for operator in ("ReduceMin", "ReduceMax")]
    nodes = [helper.make_node(operator, [name], [output], keepdims=0) for output, operator, name in ends]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, []) for output, _, _ in ends]
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        path = Path(directory) / "ranges.onnx"
        write_graph(replace(exact, nodes=[*exact.nodes, *nodes], outputs=outputs), path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        measured = [session.run(None, dict(zip(INPUTS, batch, strict=True))) for batch in batches]
    values = np.array(measured, np.float64)
    least, largest = values.min(0)[::2], values.max(0)[1::2]
    return {name: (float(a), float(b)) for name, a, b in zip(names, least, largest, strict=True)}


def quantized_tensors(int8: Graph) -> list[str]:
    """The names of the tensors that ``int8``, a graph that measures its scales, quantizes."""
    return [node.input[0] for node in int8.nodes if node.op_type == "DynamicQuantizeLinear"]


def largest_in_float16(exact: Graph, half: Graph, batches: Iterable[PaddedBatch], scratch: Path) -> tuple[str, float]:
    """The name and the absolute value of the largest tensor in ``exact`` among those that are float16 in ``half``.

    ``half``: the float16 graph of the same model. It is not run itself: a CPU computes its products in float32, so no
    overflow would be seen. Sums inside fused operators are included. ``scratch``: as in :func:`measured_ranges`.
    """
    computed = takewhile(lambda node: node.op_type != "Cast", half.nodes)  # pooling and head are float32
    names = [node.output[0] for node in computed if node.op_type != "Shape"]
    inner = [node for fused in exact.nodes for node in _sums(fused)]
    names += [node.output[0] for node in inner if node.op_type == "Add"]
    ranges = measured_ranges(replace(exact, nodes=[*exact.nodes, *inner]), names, batches, scratch)
    largest = {name: max(-low, high) for name, (low, high) in ranges.items()}
    name = max(largest, key=lambda name: largest[name])
    return name, largest[name]


def _sums(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Nodes that compute the sums inside a fused operator: products and their biases."""
    name = node.output[0]
    if node.op_type == "BiasGelu":
        return [helper.make_node("Add", node.input, [f"{name}.sum"])]
    if node.op_type == "Attention":
        product = helper.make_node("MatMul", node.input[:2], [f"{name}.product"])
        return [product, helper.make_node("Add", [f"{name}.product", node.input[2]], [f"{name}.sum"])]
    if node.op_type == "MultiHeadAttention":
        products, biases = node.input[:3], [f"{name}.{part}.bias" for part in "qkv"]
        sums = zip(products, biases, strict=True)
        split = helper.make_node("Split", [node.input[3]], biases, axis=0)
        return [split, *(helper.make_node("Add", terms, [f"{terms[0]}.sum"]) for terms in sums)]
    return []
