"""Mixing weights from the cosines between vectors, block by block."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from focus_plugin.files import Progress, silent
from focus_plugin.mixing.mixing import Block

SMALLEST, LARGEST = 1e-15, 1e15  # absolute values between these can be squared and summed in float32
SIMILARITIES_AT_ONCE = 1 << 22  # 16 MB, which still fit into a processor's cache


def similar(
    vectors: np.ndarray,
    new: np.ndarray,
    anchors: np.ndarray,
    weigh: Callable[[Tensor], Tensor],
    device: str = "cpu",
    progress: Progress = silent,
) -> Iterator[Block]:
    """Each of ``new`` as a mixture of ``anchors``, weighted by the cosine similarities.

    ``vectors``: shape (tokens, dimension). ``new``, ``anchors``: indices of rows of it that are not zero. ``weigh``: a
    function from similarities, (n, anchors), to weights of the same shape. The columns of the blocks are the anchors,
    in order. Computed on ``device``; ``progress`` is called with the number of new rows.
    """
    basis = unit_rows(vectors[anchors], device).T
    rows = max(1, SIMILARITIES_AT_ONCE // max(basis.shape))
    for start in range(0, len(new), rows):
        block = new[start : start + rows]
        similarity = unit_rows(vectors[block], device) @ basis
        yield Block(block, weigh(similarity), similarity.amax(1))
        progress(len(block))


def unit_rows(vectors: np.ndarray, device: str) -> Tensor:
    """The rows of ``vectors``, (n, dimension), divided by their norms, on ``device``; float32. Rows of zeros remain."""
    rows = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(device)
    largest = torch.linalg.vector_norm(rows, torch.inf, dim=1)
    odd = torch.nonzero((largest > 0) & ((largest <= SMALLEST) | (largest >= LARGEST)))[:, 0]
    rows[odd] /= largest[odd, None]  # their squares would be 0 or infinite
    return torch.nn.functional.normalize(rows, dim=1, out=rows)
