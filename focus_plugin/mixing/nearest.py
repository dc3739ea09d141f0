"""Mixing weights from the nearest neighbours: the softmax of their cosines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.options import option

if TYPE_CHECKING:
    from focus_plugin.mixing.similarity import Weighing


@dataclass(frozen=True, kw_only=True)
class NearestOptions:
    """A base class for the options of methods that mix the nearest source tokens."""

    neighbors: int = option(10, minimum=1, help="Source tokens in each mixture: those with the most similar vectors.")
    temperature: float = option(
        0.1, minimum=0.001, help="The cosines are divided by it before the softmax; with less, the nearest count more."
    )


def nearest_weighing(options: NearestOptions, anchors: int) -> "Weighing":
    """The softmax of cosine / temperature over the nearest of ``anchors`` anchors; all others have no weight."""
    import torch
    from torch import Tensor

    from focus_plugin.mixing.largest import GROUP, largest_of_rows
    from focus_plugin.mixing.mixing import row_values, sparse_weights
    from focus_plugin.mixing.similarity import Weighing

    count = min(options.neighbors, anchors)

    def weigh(similarity: Tensor) -> Tensor:
        """The weights of the nearest, sparse CSR, of all similarities or of those that reach the floor."""
        if similarity.layout == torch.sparse_csr:
            cosines, places = row_values(similarity)[0].topk(count)
            found = similarity.col_indices()[similarity.crow_indices()[:-1, None] + places]
        else:
            cosines, found = largest_of_rows(similarity, count)
        columns, order = found.sort(1)
        weights = torch.softmax(cosines / options.temperature, 1).gather(1, order)
        offsets = torch.arange(0, columns.numel() + 1, count, device=weights.device)
        return sparse_weights(offsets, columns.flatten(), weights.flatten(), anchors)

    def floor(similarity: Tensor) -> Tensor:
        return similarity.topk(count).values[:, -1]

    return Weighing(weigh, floor if count <= anchors // GROUP else None)
