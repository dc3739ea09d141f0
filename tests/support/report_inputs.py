"""Conversions small enough to check by hand, as the report takes them."""

import numpy as np
from mixing_inputs import focus

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.manifest import Manifest
from focus_plugin.mixing.mixing import Mixing
from focus_plugin.transfer.origins import COPIED, FILLED, LISTED, MIXED, Origins
from focus_plugin.vocabulary.vocabulary import Vocabulary


def manifest(**counts: float) -> Manifest:
    return Manifest("converted encoder", {"method": "focus", "seed": 1}, {"corpus": "0" * 64}, {"torch": "2"}, counts)


def origins_of(source: Vocabulary, target: Vocabulary, auxiliary: np.ndarray) -> Origins:
    """The origins of what FOCUS mixes, from the whole of its mixing matrix."""
    return _origins(focus(source, target, TokenVectors.of(auxiliary)), target, auxiliary.astype(np.float64))


def _origins(mixing: Mixing, target: Vocabulary, auxiliary: np.ndarray) -> Origins:
    size = len(target)
    found = Origins(
        kind=np.where(mixing.copied >= 0, COPIED, FILLED).astype(np.int8),
        support=np.zeros(size, dtype=np.int32),
        similarity=np.full(size, np.nan, dtype=np.float32),
        anchors=np.full((size, LISTED), -1, dtype=np.int32),
        weights=np.zeros((size, LISTED), dtype=np.float32),
    )
    found.anchors[:, 0] = mixing.copied
    found.weights[mixing.copied >= 0, 0] = 1
    anchors = np.flatnonzero((mixing.copied >= 0) & auxiliary.any(axis=1) & ~target.special)
    for block in mixing.blocks:
        for row, weights in zip(block.rows, block.weights.to_dense().numpy(), strict=True):
            largest = [i for i in np.argsort(-weights, kind="stable")[:LISTED] if weights[i] > 0]
            norms = np.linalg.norm(auxiliary[anchors], axis=1) * np.linalg.norm(auxiliary[row])
            found.kind[row] = MIXED
            found.support[row] = np.count_nonzero(weights)
            found.similarity[row] = np.max(auxiliary[anchors] @ auxiliary[row] / norms)
            found.anchors[row, : len(largest)] = mixing.anchors[largest]
            found.weights[row, : len(largest)] = weights[largest]
    return found
