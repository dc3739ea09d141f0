"""What a GPU computes of a bfloat16 graph, computed by a CPU, for which ONNX Runtime has no operators in bfloat16."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

from .onnx_file import Graph


def rounded(graph: Graph) -> Graph:
    """``graph`` in float32, with every result that is bfloat16 there rounded to what bfloat16 holds.

    Kernels for GPUs add up in float32 as well and round what they store. What the fused ones keep to themselves, such
    as queries and the weights of attention, is not rounded here.
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
