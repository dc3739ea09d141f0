"""Simulates a bfloat16 graph on a CPU, for which ONNX Runtime has no bfloat16 operators."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

from .onnx_file import Graph


def rounded(graph: Graph) -> Graph:
    """``graph`` in float32, with every bfloat16 result rounded to a bfloat16 value.

    GPU kernels also compute sums in float32 and round their results. Values inside fused operators, such as queries and
    attention weights, are not rounded here.
    """
    weights = dict(graph.weights)
    halves = {name for name, array in weights.items() if array.dtype == ml_dtypes.bfloat16}
    weights |= {name: weights[name].astype(np.float32) for name in halves}
    nodes: list[onnx.NodeProto] = []
    for node in graph.nodes:
        if node.op_type == "Cast" or halves.isdisjoint(node.input):
            nodes.append(node)
            continue
        exact = onnx.NodeProto()
        exact.CopyFrom(node)
        (name,) = node.output
        exact.output[0], half = f"{name}.exact", f"{name}.half"
        there = helper.make_node("Cast", [exact.output[0]], [half], to=TensorProto.BFLOAT16)
        nodes += [exact, there, helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT)]
        halves.add(name)
    return replace(graph, nodes=nodes, weights=weights)
