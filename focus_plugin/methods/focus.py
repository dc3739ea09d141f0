"""FOCUS: new tokens as sparse mixtures of overlapping ones (Dobler & de Melo, EMNLP 2023, section 3)."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.methods.mixing import Block, Mixing
from focus_plugin.methods.sparsemax import sparsemax
from focus_plugin.vocabulary.overlap import overlap
from focus_plugin.vocabulary.vocabulary import Vocabulary

BLOCK_ROWS = 256  # similarities of so many rows to 20,000 anchors still fit a processor's cache


def focus(
    source: Vocabulary,
    target: Vocabulary,
    auxiliary: np.ndarray,
    *,
    special_anchors: bool = False,
    device: str = "cpu",
    progress: Progress = silent,
) -> Mixing:
    """The mixing matrix of FOCUS.

    ``auxiliary``: shape (target, dimension), float32, static vectors of the target tokens; a row of zeros says
    that the token has none. Overlapping tokens keep their rows. A new token with a vector is weighted over the
    overlapping tokens with a vector by the sparsemax of the cosine similarities. ``special_anchors``: let special
    tokens with a vector take part in mixtures, as the authors' package does. The blocks are computed on
    ``device``; ``progress`` is called with the number of rows done. Raises FocusError if no overlapping token has
    a vector.
    """
    copied = overlap(source, target)
    known = np.any(auxiliary != 0, axis=1)
    anchors = np.flatnonzero(known & (copied >= 0) & (special_anchors | ~target.special))
    new = np.flatnonzero(known & (copied < 0) & ~target.special)
    if len(new) and not len(anchors):
        raise FocusError(
            "No token that both vocabularies hold has an auxiliary vector, so FOCUS has nothing to mix. Check that "
            "the auxiliary vectors were made with the target vocabulary, and that source and target share a script."
        )
    blocks = _blocks(_unit(auxiliary[new], device), _unit(auxiliary[anchors], device), new, progress)
    return Mixing(copied, copied[anchors], blocks)


def _unit(vectors: np.ndarray, device: str) -> Tensor:
    rows = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(device)
    return torch.nn.functional.normalize(rows, dim=1)


def _blocks(new: Tensor, anchors: Tensor, rows: np.ndarray, progress: Progress) -> Iterator[Block]:
    for start in range(0, len(rows), BLOCK_ROWS):
        similarity = new[start : start + BLOCK_ROWS] @ anchors.T
        yield Block(rows[start : start + BLOCK_ROWS], sparsemax(similarity), similarity.amax(1))
        progress(len(similarity))
