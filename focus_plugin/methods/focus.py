"""FOCUS: new tokens as sparse mixtures of overlapping ones (Dobler & de Melo, EMNLP 2023, section 3)."""

from collections.abc import Iterator

import numpy as np
import torch
from entmax import sparsemax
from scipy.sparse import csr_matrix

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.methods.mixing import Block, Mixing
from focus_plugin.vocabulary.overlap import overlap
from focus_plugin.vocabulary.vocabulary import Vocabulary

BLOCK_ROWS = 1024
FIRST_SUPPORT = 128  # sparsemax sorts this many similarities of a row first, and more where the support is larger


def focus(source: Vocabulary, target: Vocabulary, auxiliary: np.ndarray, progress: Progress = silent) -> Mixing:
    """The mixing matrix of FOCUS.

    ``auxiliary``: shape (target, dimension), float32, static vectors of the target tokens; a row of zeros says
    that the token has none. Overlapping tokens keep their rows. A new token with a vector is weighted over the
    overlapping tokens with a vector by the sparsemax of the cosine similarities; special tokens take no part.
    ``progress`` is called with the number of rows done. Raises FocusError if no overlapping token has a vector.
    """
    copied = overlap(source, target)
    known = np.any(auxiliary != 0, axis=1) & ~target.special
    anchors = np.flatnonzero(known & (copied >= 0))
    new = np.flatnonzero(known & (copied < 0))
    if len(new) and not len(anchors):
        raise FocusError(
            "No token that both vocabularies hold has an auxiliary vector, so FOCUS has nothing to mix. Check that "
            "the auxiliary vectors were made with the target vocabulary, and that source and target share a script."
        )
    blocks = _blocks(_unit(auxiliary[new]), _unit(auxiliary[anchors]), new, copied[anchors], len(source), progress)
    return Mixing(copied, blocks)


def _unit(vectors: np.ndarray) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)), dim=1)


def _blocks(
    new: torch.Tensor, anchors: torch.Tensor, rows: np.ndarray, columns: np.ndarray, width: int, progress: Progress
) -> Iterator[Block]:
    for start in range(0, len(rows), BLOCK_ROWS):
        similarity = new[start : start + BLOCK_ROWS] @ anchors.T
        weights = csr_matrix(sparsemax(similarity, dim=-1, k=FIRST_SUPPORT).numpy())
        block = rows[start : start + BLOCK_ROWS]
        yield Block(block, csr_matrix((weights.data, columns[weights.indices], weights.indptr), (len(block), width)))
        progress(len(block))
