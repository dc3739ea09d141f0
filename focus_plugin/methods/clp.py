"""CLP-Transfer: new tokens as means of all overlapping ones, weighted by similarity (Ostendorff & Rehm, 2023).

The idea is that a smaller encoder that was already trained with the target vocabulary, the helper, knows which tokens
are similar, although its embeddings cannot be put into the larger source. Overlapping tokens keep their rows. A new
token v is the mean of the overlapping tokens w, weighted by their similarity in the helper's embeddings (equation 2):

    E(v) = sum of E(w) cos(H(v), H(w)) / sum of cos(H(v), H(w))

Every overlapping token has a weight, and the weights of dissimilar ones are negative. So the weights are dense, and
they are computed block by block. The helper is given as auxiliary embeddings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.mixing.anchors import AnchorOptions, mixing_of_anchors
from focus_plugin.mixing.declaration import Given, Method, Need

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from focus_plugin.mixing.mixing import Block, Mixing

CANCELLED = 1e-6  # of the sum of the absolute similarities; a smaller sum of them is only rounding


@dataclass(frozen=True, kw_only=True)
class ClpOptions(AnchorOptions):
    """The options of CLP-Transfer."""


def clp(given: Given) -> "Mixing":
    """The mixing matrix of CLP-Transfer.

    A token whose similarities add up to zero is filled, since it has no weighted mean. Raises FocusError if no
    overlapping token has a vector.
    """
    from focus_plugin.mixing.cosines import VectorsOf
    from focus_plugin.mixing.mixing import selected
    from focus_plugin.mixing.similarity import Weighing, similar

    auxiliary = given.vectors
    assert auxiliary is not None

    def blocks(new: "np.ndarray", anchors: "np.ndarray") -> "Iterator[Block]":
        sides = VectorsOf(auxiliary.vectors, new), VectorsOf(auxiliary.vectors, anchors)
        for block in similar(*sides, Weighing(normalized), given.device, given.progress):
            yield selected(block, block.weights.any(1).cpu().numpy())

    return mixing_of_anchors(given, blocks, convex=False)


def normalized(similarity: "Tensor") -> "Tensor":
    """The rows of ``similarity``, (n, anchors), divided by their sums; zeros if the similarities cancel each other."""
    import torch

    sums = similarity.sum(1, keepdim=True)
    cancelled = sums.abs() <= CANCELLED * torch.linalg.vector_norm(similarity, 1, dim=1, keepdim=True)
    return similarity.mul(torch.where(cancelled, 0, 1 / sums))


METHOD = Method(
    name="clp",
    summary="New tokens are means of all overlapping tokens, weighted by the similarity in a helper encoder.",
    paper="Ostendorff & Rehm, CLP-Transfer, 2023, https://arxiv.org/abs/2301.09626",
    make=clp,
    options=ClpOptions,
    needs=(Need.VECTORS,),
    published={"rare": "fill", "special_anchors": True, "calibrate": 0, "rank_bias": True},
)
