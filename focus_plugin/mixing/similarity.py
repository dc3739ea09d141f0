"""Mixing weights from the cosines between vectors, block by block."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from focus_plugin.files import Progress, silent
from focus_plugin.mixing.cosines import Floor, VectorsOf, largest_cosines, rounded_anchors, unit_rows
from focus_plugin.mixing.mixing import Block

SIMILARITIES_AT_ONCE = 1 << 22  # 16 MB, which still fit into a processor's cache
ESTIMATES_AT_ONCE = 3 << 22  # 25 MB
FEWEST_ROWS = 64  # compared at once; with fewer, the product takes longer


@dataclass(frozen=True)
class Weighing:
    """How similarities become weights.

    weigh: a function from similarities, (n, anchors), to weights of the same shape. floor: see ``largest_cosines``;
    similarities below it have no weight, so ``weigh`` also takes those that reach it alone, as sparse CSR. None if all
    similarities can have a weight.
    """

    weigh: Callable[[Tensor], Tensor]
    floor: Floor | None = None


def similar(
    new: VectorsOf, anchors: VectorsOf, weighing: Weighing, device: str = "cpu", progress: Progress = silent
) -> Iterator[Block]:
    """Each of ``new`` as a mixture of ``anchors``, weighted by the cosine similarities.

    The columns of the blocks are the anchors, in order. Computed on ``device``; ``progress`` is called with the number
    of new rows.
    """
    estimated = rounded_anchors(anchors) if weighing.floor and device == "cpu" else None
    width = max(len(anchors.ids), anchors.vectors.shape[1])
    basis = cache(lambda: unit_rows(anchors.vectors[anchors.ids], device).T)
    at_once, rows = (max(FEWEST_ROWS, size // width) for size in (SIMILARITIES_AT_ONCE, ESTIMATES_AT_ONCE))
    for start in range(0, len(new.ids), rows):
        ids = new.ids[start : start + rows]
        unit = unit_rows(new.vectors[ids], device)
        largest = largest_cosines(unit, estimated, weighing.floor) if estimated and weighing.floor else None
        if largest is not None:
            most = torch.segment_reduce(largest.values(), "max", offsets=largest.crow_indices())
            yield Block(ids, weighing.weigh(largest), most)
        for part in range(0, len(ids) if largest is None else 0, at_once):
            similarity = unit[part : part + at_once] @ basis()
            yield Block(ids[part : part + at_once], weighing.weigh(similarity), similarity.amax(1))
        progress(len(ids))
