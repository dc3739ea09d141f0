"""Adds nodes and weights to a graph, in float32 or half precision."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import numpy as np
import onnx
from onnx import helper

from focus_plugin.errors import FocusError

from .onnx_file import FUSED


class Nodes:
    """The nodes and weights of a graph. Weights are read from a checkpoint's ``tensors``; ``dtype``: their type.

    Linear weights are (out, in) in the checkpoint and (in, out) in the graph. All methods except ``read`` and
    ``stacked`` return the name of what they added.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], dtype: type[Any] = np.float32) -> None:
        self.tensors = tensors
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}

    def read(self, name: str, *shape: int | None) -> np.ndarray:
        """The checkpoint's tensor as float32. Raises FocusError if it is missing or has not ``shape`` (None: any)."""
        if name not in self.tensors:
            raise FocusError(f"The checkpoint has no tensor {name}, which the encoder needs.")
        array = self.tensors[name]
        if any(want != size for want, size in zip_longest(shape, array.shape, fillvalue=0) if want is not None):
            needed = " x ".join("any" if size is None else str(size) for size in shape)
            raise FocusError(f"The checkpoint's tensor {name} has shape {array.shape}; the encoder needs {needed}.")
        return np.asarray(array, np.float32)

    def stacked(self, names: list[str], kind: str, *shape: int) -> np.ndarray:
        """The tensors ``name.kind``, each of ``shape``, concatenated along their first axis."""
        return np.concatenate([self.read(f"{name}.{kind}", *shape) for name in names])

    def constant(self, name: str, array: np.ndarray) -> str:
        """``array`` as a weight; floats are converted to ``dtype``. Raises FocusError if float16 would overflow."""
        if np.issubdtype(array.dtype, np.floating):
            largest = max(array.max(), -array.min()) if self.dtype == np.float16 else 0
            if largest > np.finfo(np.float16).max:
                raise FocusError(
                    f"The checkpoint's tensor {name} has a value of {largest:.3g}, too large for float16; "
                    "export it in another precision."
                )
            array = array.astype(self.dtype, copy=False)
        self.weights[name] = array
        return name

    def weight(self, name: str, *shape: int | None) -> str:
        """The checkpoint's tensor ``name`` as a weight."""
        return self.constant(name, self.read(name, *shape))

    def node(self, operator: str, inputs: list[str], *outputs: str, domain: str = "", **attributes: Any) -> str:
        """Add an operator; return the name of its first output."""
        self.nodes.append(helper.make_node(operator, inputs, outputs, outputs[0], domain=domain, **attributes))
        return outputs[0]

    def fused(self, operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """Add an operator of ONNX Runtime that is not in the ONNX standard."""
        return self.node(operator, inputs, *outputs, domain=FUSED, **attributes)

    def cast(self, values: str, output: str, to: type[np.generic]) -> str:
        """``values`` converted to another type."""
        return self.node("Cast", [values], output, to=helper.np_dtype_to_tensor_dtype(np.dtype(to)))

    def product(self, values: str, linear: str, outputs: int, inputs: int) -> str:
        """``values`` (..., inputs) times the weight of ``linear``, without its bias."""
        weight = self.constant(f"{linear}.weight", self.read(f"{linear}.weight", outputs, inputs).T)
        return self.node("MatMul", [values, weight], f"{linear}.product")

    def self_attention(self, hidden: str, linears: list[str], output: str, width: int, **attributes: Any) -> str:
        """Attention of each token of ``hidden`` over the real tokens of its row; ``linears``: query, key and value."""
        weight = self.constant(f"{output}.weight", self.stacked(linears, "weight", width, width).T)
        bias = self.constant(f"{output}.bias", self.stacked(linears, "bias", width))
        return self.fused("Attention", [hidden, weight, bias, "lengths"], output, **attributes)

    def first(self, hidden: str) -> str:
        """The first token of every row, (batch, 1, width)."""
        return self.node("Gather", [hidden, self.constant("first_column", np.array([0]))], f"{hidden}.first", axis=1)

    def first_token(self, hidden: str, output: str | None = None) -> str:
        """The first token of every row, (batch, width)."""
        return self.node("Squeeze", [self.first(hidden), self._token_axis()], output or f"{hidden}.first_token")

    def mean(self, hidden: str, output: str) -> str:
        """The mean of the real tokens of each row, (batch, width). The sum is a product with ones and zeros."""
        ones = self.node("Unsqueeze", [self.cast("real", "ones", np.float32), self._token_axis()], "row_of_ones")
        total = self.node("Squeeze", [self.node("MatMul", [ones, hidden], "totals"), self._token_axis()], "total")
        lengths = self.cast("lengths", "float_lengths", np.float32)
        return self.node("Div", [total, self.node("Unsqueeze", [lengths, self._token_axis()], "counts")], output)

    def narrowed(self, values: str, size: int, output: str) -> str:
        """The first ``size`` numbers of each row of ``values`` (batch, width)."""
        bounds = [self.constant("begin", np.array([0])), self.constant("narrowed_size", np.array([size]))]
        return self.node("Slice", [values, *bounds, self.constant("number_axis", np.array([1]))], output)

    def linear(self, values: str, name: str, outputs: int, inputs: int, output: str | None = None) -> str:
        """A linear layer with the checkpoint's ``name.weight`` and ``name.bias``, in float32.

        ``values``: (batch, inputs) or (batch, length, inputs).
        """
        weight = self.constant(f"{name}.weight", self.read(f"{name}.weight", outputs, inputs).T)
        product = self.node("MatMul", [values, weight], f"{name}.product")
        return self.node("Add", [product, self.weight(f"{name}.bias", outputs)], output or name)

    def real_tokens(self, max_positions: int) -> str:
        """``real``: whether a token is not padding, bool (batch, length)."""
        numbers = self.columns("column_numbers", np.arange(max_positions, dtype=np.int32))
        ends = self.node("Unsqueeze", ["lengths", self._token_axis()], "ends")
        return self.node("Less", [numbers, ends], "real")

    def without_padding(self, hidden: str, output: str) -> str:
        """``hidden`` (batch, length, size) with zeros at padding."""
        real = self.node("Unsqueeze", ["real", self.constant("width_axis", np.array([2]))], f"{output}.real")
        return self.node("Where", [real, hidden, self.constant("nothing", np.array(0, np.float32))], output)

    def _token_axis(self) -> str:
        return self.constant("token_axis", np.array([1]))

    def attention(
        self, queries: str, hidden: str, linears: list[str], output: str, width: int, **attributes: Any
    ) -> str:
        """Attention of ``queries``, some tokens of each row, over all real tokens of ``hidden``."""
        sources = (queries, hidden, hidden)
        products = [self.product(values, linear, width, width) for values, linear in zip(sources, linears, strict=True)]
        bias = self.constant(f"{output}.bias", self.stacked(linears, "bias", width))
        return self.fused("MultiHeadAttention", [*products, bias, "lengths"], output, **attributes)

    def rows(self, table: str, width: int) -> str:
        """The token embeddings: (batch, length, width)."""
        return self.node("Gather", [self.weight(table, None, width), "input_ids"], f"{table}.rows")

    def projected(self, rows: str, linear: str, outputs: int, inputs: int) -> str:
        """The rows of a factorized table, (batch, length, inputs), times the weight of ``linear``."""
        return Nodes.product(self, rows, linear, outputs, inputs)  # in floats in every graph: it is a small product

    def columns(self, name: str, table: np.ndarray) -> str:
        """The first ``length`` rows of ``table``, one for each column of the batch; (length, ...)."""
        length = self.node("Shape", ["input_ids"], f"{name}.length", start=1, end=2)
        bounds = [self.constant("begin", np.array([0])), length, self.constant("row_axis", np.array([0]))]
        return self.node("Slice", [self.constant(name, table), *bounds], f"{name}.used")

    def normalized_sum(self, terms: list[str], norm: str, width: int, output: str, epsilon: float) -> str:
        """Layer normalization of the sum of ``terms``: two activations of one shape and a bias, or other terms.

        On a CPU, ONNX Runtime's fused operator takes four times as long as Sum and LayerNormalization; ONNX Runtime
        would use it in place of Add and LayerNormalization. On a GPU the fused operator is faster. Up to version 1.27
        it overflows except in its strict mode, which does not broadcast.
        """
        parameters = [self.weight(f"{norm}.{kind}", width) for kind in ("weight", "bias")]
        if self.dtype != np.float32 and len(terms) == 3:
            inputs = [*terms[:2], *parameters, *terms[2:]]
            return self.fused("SkipLayerNormalization", inputs, output, epsilon=epsilon)
        total = self.node("Sum", terms, f"{output}.sum")
        return self.node("LayerNormalization", [total, *parameters], output, epsilon=epsilon)
