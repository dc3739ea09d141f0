"""New tokens by orthogonal matching pursuit over shared tokens (Goddard & Fernandes Neto, 2025).

A donor is an encoder that has the target vocabulary. In the donor's embedding space, each new token is approximated by
a few tokens that both vocabularies have: the one with the largest inner product, then the one with the largest inner
product with what is left, and so on, with the coefficients of least squares after each. The same coefficients are then
applied to the source's rows of these tokens. Coefficients can be negative and do not sum to 1. Overlapping tokens keep
their rows. The donor is given as auxiliary embeddings; any other vectors of the tokens can take its place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.mixing.anchors import AnchorOptions, mixing_of_anchors
from focus_plugin.mixing.declaration import Given, Method, Need
from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np

    from focus_plugin.mixing.mixing import Block, Mixing


@dataclass(frozen=True, kw_only=True)
class OmpOptions(AnchorOptions):
    """The options of orthogonal matching pursuit."""

    anchors: int = option(
        8, minimum=1, maximum=1024, help="Largest number of source tokens in a mixture; in the paper 64."
    )


def omp(given: Given) -> "Mixing":
    """The mixing matrix of orthogonal matching pursuit.

    Tokens whose vectors are orthogonal to those of all overlapping tokens are filled. Raises FocusError if no
    overlapping token has a vector.
    """
    import numpy as np
    import torch

    from focus_plugin.mixing.mixing import Block, selected, supports
    from focus_plugin.mixing.pursuit import matching_pursuit
    from focus_plugin.mixing.similarity import SIMILARITIES_AT_ONCE

    auxiliary, count = given.vectors, given.options.anchors
    assert auxiliary is not None
    vectors = torch.from_numpy(auxiliary.vectors / np.abs(auxiliary.vectors).max())  # a common factor changes nothing

    def blocks(new: "np.ndarray", anchors: "np.ndarray") -> "Iterator[Block]":
        """The mixtures of new tokens from ``anchors``, block by block."""
        atoms = vectors[anchors].to(given.device)
        rows = max(1, SIMILARITIES_AT_ONCE // max(len(atoms), min(count, *atoms.shape) * atoms.shape[1]))
        for start in range(0, len(new), rows):
            ids = new[start : start + rows]
            block = Block(ids, matching_pursuit(vectors[ids].to(given.device), atoms, count))
            yield selected(block, supports(block.weights) > 0)
            given.progress(len(ids))

    return mixing_of_anchors(given, blocks, convex=False)


METHOD = Method(
    name="omp",
    summary="New tokens are sums of a few overlapping tokens, with the coefficients that fit best in a donor encoder.",
    paper="Goddard & Fernandes Neto, Tokenizer Transplantation, 2025, https://arxiv.org/abs/2506.06607",
    make=omp,
    options=OmpOptions,
    needs=(Need.VECTORS,),
    published={"anchors": 64, "rare": "fill", "special_anchors": True, "calibrate": 0, "rank_bias": True},
)
