"""The nodes of a graph whose matrix products are computed with 8-bit integers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .nodes import Nodes

# CPUs without VNNI (AMD's before Zen 4, Intel's before Ice Lake) add two products of 8-bit integers in 16 bits. The sum
# 2 x 255 x 63 fits into these, 2 x 255 x 127 does not, and ONNX Runtime lets it saturate.
PRODUCT_LIMIT = 63
LIMIT = 127
_TINY = np.finfo(np.float32).tiny  # smaller scales are not precise
Ranges = Mapping[str, tuple[float, float]]


class Int8Nodes(Nodes):
    """Nodes with products of unsigned activations and signed weights.

    Activations have one scale per tensor, weights one per output channel, and the token embedding one per row. The
    scale of activations is measured on every batch; with ``ranges``, which has the smallest and the largest value of
    each tensor, it is fixed. All other operations are in float32.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], ranges: Ranges | None = None) -> None:
        super().__init__(tensors)
        self.ranges = ranges
        self.quantized: dict[str, list[str]] = {}

    def activations(self, values: str) -> list[str]:
        """The names of ``values`` as uint8, of their scale and of their zero point."""
        if values not in self.quantized:
            names = [f"{values}.{part}" for part in ("uint8", "scale", "zero")]
            if self.ranges is None:
                self.node("DynamicQuantizeLinear", [values], *names)
            else:
                scale, zero = activation_scale(*self.ranges[values])
                self.constant(names[1], scale)
                self.constant(names[2], zero)
                self.node("QuantizeLinear", [values, *names[1:]], names[0])
            self.quantized[values] = names
        return self.quantized[values]

    def channels(self, name: str, weight: np.ndarray) -> list[str]:
        """``weight`` (out, in) as int8 (in, out), and the scale of each output."""
        integers, scale = quantized_rows(weight, PRODUCT_LIMIT)
        return [self.constant(name, integers.T), self.constant(f"{name}.scale", scale)]

    def product(self, values: str, linear: str, outputs: int, inputs: int) -> str:
        """As :meth:`Nodes.product`, with integers."""
        integers, scale, zero = self.activations(values)
        weight, channel_scale = self.channels(f"{linear}.weight", self.read(f"{linear}.weight", outputs, inputs))
        operands = [integers, weight, scale, channel_scale, zero]
        return self.fused("MatMulIntegerToFloat", operands, f"{linear}.product")

    def self_attention(self, hidden: str, linears: list[str], output: str, width: int, **attributes: Any) -> str:
        """As :meth:`Nodes.self_attention`; the products with the weights are computed with integers."""
        integers, scale, zero = self.activations(hidden)
        weight, channel_scale = self.channels(f"{output}.weight", self.stacked(linears, "weight", width, width))
        bias = self.constant(f"{output}.bias", self.stacked(linears, "bias", width))
        operands = [integers, weight, bias, scale, channel_scale, "lengths", zero]
        return self.fused("QAttention", operands, output, **attributes)

    def rows(self, table: str, width: int) -> str:
        """As :meth:`Nodes.rows`, with a table of integers and one scale per row."""
        integers, scale = quantized_rows(self.read(table, None, width), LIMIT)
        rows = self.node("Gather", [self.constant(table, integers), "input_ids"], f"{table}.rows")
        scales = self.node("Gather", [self.constant(f"{table}.scale", scale[:, None]), "input_ids"], f"{table}.scales")
        return self.node("Mul", [self.cast(rows, f"{table}.floats", np.float32), scales], f"{table}.tokens")


def quantized_rows(weight: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """``weight`` (rows, columns) as int8 from -``limit`` to ``limit``, and the float32 scale of each row.

    The integers times the scale approximate the weight.
    """
    scale = np.abs(weight).max(1) / np.float32(limit)
    scale[scale < _TINY] = 1
    return np.rint(weight / scale[:, None]).astype(np.int8), scale


def activation_scale(least: float, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """The float32 scale and uint8 zero point for values in a range, computed as in DynamicQuantizeLinear."""
    least, largest = min(least, 0.0), max(largest, 0.0)
    scale = (largest - least) / 255
    scale = scale if scale >= _TINY else 1.0
    return np.array(scale, np.float32), np.array(round(-least / scale), np.uint8)
