"""Mixing weights from the nearest neighbours: the softmax of their cosines, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.files import Progress, silent
from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np

    from focus_plugin.mixing.mixing import Block

FEWEST_ROWS = 128  # compared at once; with fewer, the product takes longer


@dataclass(frozen=True, kw_only=True)
class NearestOptions:
    """A base class for the options of methods that mix the nearest source tokens."""

    neighbors: int = option(10, minimum=1, help="Source tokens in each mixture: those with the most similar vectors.")
    temperature: float = option(
        0.1, minimum=0.001, help="The cosines are divided by it before the softmax; with less, the nearest count more."
    )


@dataclass(frozen=True)
class Compared:
    """What is compared. rows: the target ids of new tokens, ascending. vectors: (rows, dimension), their vectors, none
    zero. anchors: (m, dimension), the vectors of the source tokens that can be in a mixture, none zero, in the order of
    the columns."""

    rows: "np.ndarray"
    vectors: "np.ndarray"
    anchors: "np.ndarray"


def nearest(
    compared: Compared, options: NearestOptions, device: str = "cpu", progress: Progress = silent
) -> Iterator["Block"]:
    """Each row as a mixture of its nearest anchors, weighted by softmax(cosine / temperature).

    Computed on ``device``; ``progress`` is called with the number of rows.
    """
    import torch

    from focus_plugin.mixing.largest import largest_of_rows
    from focus_plugin.mixing.mixing import Block, sparse_weights
    from focus_plugin.mixing.similarity import SIMILARITIES_AT_ONCE, unit_rows

    basis = unit_rows(compared.anchors, device).T
    count, size = min(options.neighbors, basis.shape[1]), max(FEWEST_ROWS, SIMILARITIES_AT_ONCE // max(basis.shape))
    for start in range(0, len(compared.rows), size):
        rows = compared.rows[start : start + size]
        cosines, found = largest_of_rows(unit_rows(compared.vectors[start : start + size], device) @ basis, count)
        columns, order = found.sort(1)
        weights = torch.softmax(cosines / options.temperature, 1).gather(1, order)
        offsets = torch.arange(0, len(rows) * count + 1, count, device=weights.device)
        sparse = sparse_weights(offsets, columns.flatten(), weights.flatten(), basis.shape[1])
        yield Block(rows, sparse, cosines[:, 0])
        progress(len(rows))
