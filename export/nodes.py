"""The nodes and weights of a graph in the making, in float32 or a half precision."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import numpy as np
import onnx
from onnx import helper

from focus_plugin.errors import FocusError

from .onnx_file import FUSED


class Nodes:
    """Nodes and weights, read from a checkpoint's ``tensors`` and computing in ``dtype``.

    Linear weights are (out, in) in the checkpoint and (in, out) in the graph. All methods but ``read`` and ``stacked``
    return the name of what they added.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], dtype: type[Any] = np.float32) -> None:
        self.tensors = tensors
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}

    def read(self, name: str, *shape: int | None) -> np.ndarray:
        """The checkpoint's tensor as float32; FocusError if it is absent or not of ``shape`` (None: any size)."""
        if name not in self.tensors:
            raise FocusError(f"The checkpoint has no tensor {name}, which the encoder needs.")
        array = self.tensors[name]
        if any(want != size for want, size in zip_longest(shape, array.shape, fillvalue=0) if want is not None):
            needed = " x ".join("any" if size is None else str(size) for size in shape)
            raise FocusError(f"The checkpoint's tensor {name} has shape {array.shape}; the encoder needs {needed}.")
        return np.asarray(array, np.float32)

    def stacked(self, names: list[str], kind: str, *shape: int) -> np.ndarray:
        """The tensors ``name.kind``, each of ``shape``, one after the other along their first axis."""
        return np.concatenate([self.read(f"{name}.{kind}", *shape) for name in names])

    def constant(self, name: str, array: np.ndarray) -> str:
        """``array`` under ``name``; floats become ``dtype``. Raises FocusError for what is beyond float16."""
        if np.issubdtype(array.dtype, np.floating):
            largest = max(array.max(), -array.min()) if self.dtype == np.float16 else 0
            if largest > np.finfo(np.float16).max:
                raise FocusError(
                    f"The checkpoint's tensor {name} has a value of {largest:.3g}, more than float16 holds; "
                    "export it in another precision."
                )
            array = array.astype(self.dtype, copy=False)
        self.weights[name] = array
        return name

    def weight(self, name: str, *shape: int | None) -> str:
        """The checkpoint's tensor ``name`` as it is."""
        return self.constant(name, self.read(name, *shape))

    def node(self, operator: str, inputs: list[str], *outputs: str, domain: str = "", **attributes: Any) -> str:
        """An operator; the name of its first output."""
        self.nodes.append(helper.make_node(operator, inputs, outputs, outputs[0], domain=domain, **attributes))
        return outputs[0]

    def fused(self, operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """An operator of ONNX Runtime's own."""
        return self.node(operator, inputs, *outputs, domain=FUSED, **attributes)

    def cast(self, values: str, output: str, to: type[np.generic]) -> str:
        """``values`` as numbers of another type."""
        return self.node("Cast", [values], output, to=helper.np_dtype_to_tensor_dtype(np.dtype(to)))

    def product(self, values: str, linear: str, outputs: int, inputs: int) -> str:
        """``values`` (..., inputs) times the weight of ``linear``; its bias is left to the next node."""
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
        """The mean of every row's real tokens, (batch, width); a product with a row of ones and zeros adds them up."""
        ones = self.node("Unsqueeze", [self.cast("real", "ones", np.float32), self._token_axis()], "row_of_ones")
        total = self.node("Squeeze", [self.node("MatMul", [ones, hidden], "totals"), self._token_axis()], "total")
        lengths = self.cast("lengths", "float_lengths", np.float32)
        return self.node("Div", [total, self.node("Unsqueeze", [lengths, self._token_axis()], "counts")], output)

    def linear(self, values: str, name: str, outputs: int, inputs: int, output: str | None = None) -> str:
        """A linear layer with the checkpoint's ``name.weight`` and ``name.bias``, in float32.

        ``values``: (batch, inputs) or (batch, length, inputs).
        """
        weight = self.constant(f"{name}.weight", self.read(f"{name}.weight", outputs, inputs).T)
        product = self.node("MatMul", [values, weight], f"{name}.product")
        return self.node("Add", [product, self.weight(f"{name}.bias", outputs)], output or name)

    def real_tokens(self, max_positions: int) -> str:
        """``real``: whether a token is one, bool (batch, length)."""
        numbers = self.columns("column_numbers", np.arange(max_positions, dtype=np.int32))
        ends = self.node("Unsqueeze", ["lengths", self._token_axis()], "ends")
        return self.node("Less", [numbers, ends], "real")

    def without_padding(self, hidden: str, output: str) -> str:
        """``hidden`` (batch, length, size) with zeros at the positions beyond each row's length."""
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

    def columns(self, name: str, table: np.ndarray) -> str:
        """What ``table`` has for each column of the batch, (length, ...); it has one row a column, in order."""
        length = self.node("Shape", ["input_ids"], f"{name}.length", start=1, end=2)
        bounds = [self.constant("begin", np.array([0])), length, self.constant("row_axis", np.array([0]))]
        return self.node("Slice", [self.constant(name, table), *bounds], f"{name}.used")

    def normalized_sum(self, terms: list[str], norm: str, width: int, output: str, epsilon: float) -> str:
        """Layer normalisation of the sum of ``terms``: two activations of one shape and a bias, or whatever adds up.

        On a CPU, ONNX Runtime's fused operator takes four times as long as these two, and would be put in the place of
        Add and LayerNormalization; on a GPU it is the faster one. Up to version 1.27 that one overflows unless in its
        strict mode, which broadcasts nothing.
        """
        parameters = [self.weight(f"{norm}.{kind}", width) for kind in ("weight", "bias")]
        if self.dtype != np.float32 and len(terms) == 3:
            inputs = [*terms[:2], *parameters, *terms[2:]]
            return self.fused("SkipLayerNormalization", inputs, output, epsilon=epsilon)
        total = self.node("Sum", terms, f"{output}.sum")
        return self.node("LayerNormalization", [total, *parameters], output, epsilon=epsilon)
