"""FOCUS: new tokens as sparse mixtures of overlapping ones (Dobler & de Melo, EMNLP 2023, section 3)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.methods.mixing import Block, Mixing, merged
from focus_plugin.methods.sparsemax import sparsemax
from focus_plugin.vocabulary.overlap import EXACT, Matching, overlap
from focus_plugin.vocabulary.vocabulary import Vocabulary

SMALLEST, LARGEST = 1e-15, 1e15  # entries that can be squared and added up
BLOCK = 1 << 22  # similarities at a time, 16 MB: they still fit a processor's cache


@dataclass(frozen=True)
class FocusOptions:
    """matching: which tokens overlap. rare: mix tokens that are too rare for a vector of their own by the vector of
    their n-grams, rather than leave them to the fill. special_anchors: let special tokens with a vector, which is
    fastText's line end, take part in mixtures."""

    matching: Matching = EXACT
    rare: bool = True
    special_anchors: bool = False


DEFAULT = FocusOptions()


def focus(
    source: Vocabulary,
    target: Vocabulary,
    auxiliary: TokenVectors,
    options: FocusOptions = DEFAULT,
    device: str = "cpu",
    progress: Progress = silent,
) -> Mixing:
    """The mixing matrix of FOCUS.

    Overlapping tokens keep their rows. A new token with an auxiliary vector is weighted over the overlapping tokens
    with a vector of their own by the sparsemax of the cosine similarities. The blocks are computed on ``device``;
    ``progress`` is called with the number of rows done. Raises FocusError if no overlapping token has a vector.
    """
    copied = overlap(source, target, options.matching)
    known = np.any(auxiliary.vectors != 0, axis=1)
    anchors = np.flatnonzero(known & ~auxiliary.rare & (copied >= 0) & (options.special_anchors | ~target.special))
    new = np.flatnonzero(known & (options.rare | ~auxiliary.rare) & (copied < 0) & ~target.special)
    if len(new) and not len(anchors):
        raise FocusError(_nothing_to_mix(bool(np.any((copied >= 0) & ~target.special))))
    blocks = _blocks(auxiliary.vectors, new, anchors, device, progress)
    ids, columns = np.unique(copied[anchors], return_inverse=True)
    if len(ids) == len(anchors):
        return Mixing(copied, copied[anchors], blocks)
    # several overlapping tokens can be one of the source's: each has a vector of its own, but they share a row
    return Mixing(copied, ids, (merged(block, columns, len(ids)) for block in blocks))


def _blocks(
    vectors: np.ndarray, new: np.ndarray, anchors: np.ndarray, device: str, progress: Progress
) -> Iterator[Block]:
    basis = _unit(vectors[anchors], device).T
    rows = max(1, BLOCK // max(basis.shape))
    for start in range(0, len(new), rows):
        block = new[start : start + rows]
        similarity = _unit(vectors[block], device) @ basis
        yield Block(block, sparsemax(similarity), similarity.amax(1))
        progress(len(block))


def _nothing_to_mix(overlapping: bool) -> str:
    if overlapping:
        return (
            "No token that both vocabularies hold has an auxiliary vector, so FOCUS has nothing to mix. Check that "
            "the auxiliary vectors were made with the target vocabulary, on text of the target language."
        )
    return (
        "Source and target vocabulary have no token in common but special ones, so FOCUS has nothing to mix. Check "
        "that each was read from the right files and that they share a script; --match-fuzzy also matches tokens "
        "that differ in case or word start."
    )


def _unit(vectors: np.ndarray, device: str) -> Tensor:
    rows = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(device)
    largest = torch.linalg.vector_norm(rows, torch.inf, dim=1)
    odd = torch.nonzero((largest <= SMALLEST) | (largest >= LARGEST))[:, 0]  # whose squares are 0 or infinity
    rows[odd] /= largest[odd, None]
    return torch.nn.functional.normalize(rows, dim=1, out=rows)
