"""An ONNX graph in memory and on disk: the nodes in one file, the weights in another beside it."""

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
_PAGE = 4096  # external weights that begin on a page are mapped into memory rather than read
_SMALL = 1024


@dataclass(frozen=True)
class Graph:
    """A graph whose weights are arrays, not bytes, so that they are never held twice."""

    nodes: Sequence[onnx.NodeProto]
    weights: Mapping[str, np.ndarray]
    inputs: Sequence[onnx.ValueInfoProto]
    outputs: Sequence[onnx.ValueInfoProto]


def write_graph(graph: Graph, path: str | Path) -> None:
    """Write ``graph`` to ``path`` and its weights to ``path`` + ``.data``, of any size, one weight after the other.

    An ONNX file itself cannot exceed 2 GB.
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
    """The weight for the graph; but for a small one its bytes go to ``data``."""
    if array.nbytes <= _SMALL:
        return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
    data.seek(-(-data.tell() // _PAGE) * _PAGE)
    tensor = onnx.TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
    tensor.raw_data = b""  # set_external_data wants the field to be there
    set_external_data(tensor, location, offset=data.tell(), length=array.nbytes)
    data.write(np.ascontiguousarray(array).view(np.uint8).data)  # bfloat16 is no buffer
    return tensor
