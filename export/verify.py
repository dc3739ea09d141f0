"""Proof that an exported model computes what the model it was made from computes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from focus_plugin.errors import FocusError

from .batching import padded
from .directory import INPUTS, ExportConfig

Reference = Callable[[np.ndarray, np.ndarray], Mapping[str, np.ndarray]]
Batch = tuple[np.ndarray, np.ndarray]


def largest_difference(model: str | Path | bytes, reference: Reference, batches: Iterable[Batch]) -> float:
    """The largest absolute difference between the outputs of an ONNX model and of ``reference`` on ``batches``.

    ``model`` is a path, or the bytes of a model without external data. ``reference`` gets ids int32 (batch, length)
    and lengths int32 (batch,) and returns some or all of the model's outputs by name; of ``hidden_states`` only those
    of real tokens are compared. Not-a-number anywhere makes the difference not-a-number.
    """
    source = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    differences = [0.0]
    for ids, lengths in batches:
        expected = reference(ids, lengths)
        results = session.run(list(expected), dict(zip(INPUTS, (ids, lengths), strict=True)))
        for (name, values), result in zip(expected.items(), results, strict=True):
            difference = np.abs(np.asarray(values, np.float64) - result)
            if name == "hidden_states":
                difference = difference[np.arange(ids.shape[1]) < lengths[:, None]]
            differences.append(float(difference.max()))
    return float(np.max(differences))


def require_equal(model: str | Path | bytes, reference: Reference, batches: Iterable[Batch], tolerance: float) -> float:
    """:func:`largest_difference`, or a FocusError if that is not within ``tolerance``."""
    difference = largest_difference(model, reference, batches)
    if not difference <= tolerance:
        raise FocusError(
            f"The exported model differs by {difference:.3g}, more than tolerance {tolerance:.3g}; nothing written."
        )
    return difference


def random_batches(config: ExportConfig, seed: int = 0) -> Iterator[Batch]:
    """Batches of random tokens between ``<s>`` and ``</s>``, padded on the right, that cover the patterns of padding.

    One row; one row of the maximum length; rows of one length, as long as possible or as short; mixed lengths from 2
    to the maximum; one row of the maximum length beside rows of 2 tokens.
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
