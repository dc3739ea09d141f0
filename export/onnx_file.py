"""An ONNX graph in memory, and its files: one with the nodes, and one with the weights beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data

FUSED = "com.microsoft"
_OPSETS = (("", 17), (FUSED, 1))
_IR_VERSION = 8
_PAGE = 4096  # external weights that begin at a multiple of this are mapped into memory instead of being read
_SMALL = 1024


@dataclass(frozen=True)
class Graph:
    """A graph with its weights as arrays, so that they are not copied in memory."""

    nodes: Sequence[onnx.NodeProto]
    weights: Mapping[str, np.ndarray]
    inputs: Sequence[onnx.ValueInfoProto]
    outputs: Sequence[onnx.ValueInfoProto]


def write_graph(graph: Graph, path: str | Path) -> None:
    """Write ``graph`` to ``path`` and its weights to ``path`` + ``.data``.

    An ONNX file cannot be larger than 2 GB, but the file of weights can have any size.
    """
    path = Path(path)
    location = f"{path.name}.data"
    with open(path.with_name(location), "wb") as data:
        weights = [_weight(name, array, data, location) for name, array in graph.weights.items()]
    proto = helper.make_graph(graph.nodes, "encoder", graph.inputs, graph.outputs, weights)
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS]
    model = helper.make_model(proto, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="focus-fairseq")
    path.write_bytes(model.SerializeToString(deterministic=True))


def _weight(name: str, array: np.ndarray, data: BinaryIO, location: str) -> onnx.TensorProto:
    """The tensor of a weight. The bytes are written to ``data``, those of a small weight into the tensor itself."""
    if array.nbytes <= _SMALL:
        return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
    data.seek(-(-data.tell() // _PAGE) * _PAGE)
    tensor = onnx.TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
    tensor.raw_data = b""  # set_external_data requires this field
    set_external_data(tensor, location, offset=data.tell(), length=array.nbytes)
    data.write(np.ascontiguousarray(array).view(np.uint8).data)  # bfloat16 has no buffer protocol
    return tensor
