"""The ranges of values that int8 products meet, measured on text, so that their scales can be fixed."""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from .batching import padded
from .directory import INPUTS
from .int8 import Ranges
from .onnx_file import Graph, write_graph


def measured_ranges(exact: Graph, int8: Graph, texts: Iterable[np.ndarray]) -> Ranges:
    """The least and the largest value of every tensor that ``int8`` quantizes, in ``exact``, on encoded ``texts``.

    Both are graphs of the same model with the same names, ``int8`` with measured scales. A text is int32 (length,) and
    runs alone, so that no padding is measured.
    """
    names = [node.input[0] for node in int8.nodes if node.op_type == "DynamicQuantizeLinear"]
    ends = [(f"{name}.{operator}", operator, name) for name in names for operator in ("ReduceMin", "ReduceMax")]
    nodes = [helper.make_node(operator, [name], [output], keepdims=0) for output, operator, name in ends]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, []) for output, _, _ in ends]
    with tempfile.TemporaryDirectory(prefix="focus-") as directory:
        path = Path(directory) / "ranges.onnx"
        write_graph(replace(exact, nodes=[*exact.nodes, *nodes], outputs=outputs), path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        measured = [session.run(None, dict(zip(INPUTS, padded([text], 0), strict=True))) for text in texts]
    values = np.array(measured, np.float64)
    least, largest = values.min(0)[::2], values.max(0)[1::2]
    return {name: (float(a), float(b)) for name, a, b in zip(names, least, largest, strict=True)}
