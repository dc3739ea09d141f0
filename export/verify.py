"""Verifies that an exported model has the same outputs as the model that it was made from."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from focus_plugin.errors import FocusError

from .batching import padded
from .directory import INPUTS, ExportConfig
from .head import Output

PaddedBatch = tuple[np.ndarray, np.ndarray]
Case = tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]


def largest_difference(model: str | Path, cases: Iterable[Case]) -> float:
    """The largest difference between a model's outputs and the expected outputs, relative to values larger than one.

    A case is ids, int32 (batch, length), lengths, int32 (batch,), and the expected outputs by name. All outputs that
    the model has are compared, without padding. If any of them is NaN, the result is NaN.
    """
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    outputs = [Output(output.name, tuple(output.shape[1:])) for output in session.get_outputs()]
    differences = [0.0]
    for ids, lengths, expected in cases:
        results = session.run([output.name for output in outputs], dict(zip(INPUTS, (ids, lengths), strict=True)))
        for output, result in zip(outputs, results, strict=True):
            wanted = np.asarray(expected[output.name], np.float64)
            difference = np.abs(wanted - result) / np.maximum(1, np.abs(wanted))
            rows = (output.without_padding(row, length) for row, length in zip(difference, lengths, strict=True))
            differences += [float(row.max()) for row in rows]
    return float(np.max(differences))


def require_equal(model: str | Path, cases: Iterable[Case], tolerance: float) -> float:
    """:func:`largest_difference`. Raises FocusError if it is larger than ``tolerance`` or NaN."""
    difference = largest_difference(model, cases)
    if not difference <= tolerance:
        raise FocusError(
            f"The exported model differs from the original by {difference:.3g}, more than the tolerance of "
            f"{tolerance:.3g}; nothing was written."
        )
    return difference


def random_batches(config: ExportConfig, seed: int = 0) -> Iterator[PaddedBatch]:
    """Batches of random tokens between ``<s>`` and ``</s>``, padded on the right, with different kinds of padding.

    These are one short row; one row of the maximum length; rows of equal length, the maximum or the minimum; rows of 2
    tokens to the maximum length; one row of the maximum length with rows of 2 tokens.
    """
    random = np.random.default_rng(seed)
    longest = config.max_positions
    some = int(random.integers(2, longest + 1))
    mixed = random.integers(2, longest + 1, 6).tolist()
    ordinary = np.setdiff1d(np.arange(config.vocabulary), [config.bos, config.pad, config.eos])
    for lengths in ([some], [longest], [some] * 3, [longest] * 2, [2] * 3, mixed, [2, longest, 2, 2]):
        rows = [random.choice(ordinary, length) for length in lengths]
        for row in rows:
            row[0], row[-1] = config.bos, config.eos
        yield padded(rows, config.pad)
