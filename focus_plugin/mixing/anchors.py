"""New tokens as mixtures of the overlapping tokens, by auxiliary embeddings: what methods of this kind share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.matching import MatchingOptions, overlapping
from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np

    from focus_plugin.mixing.mixing import Block, Mixing


@dataclass(frozen=True, kw_only=True)
class SpecialAnchorOptions:
    """A base class for the options of methods in which special tokens of the source can be in mixtures."""

    special_anchors: bool = option(False, help="Allow special tokens in mixtures, if there are vectors of them.")


@dataclass(frozen=True, kw_only=True)
class AnchorOptions(MatchingOptions, SpecialAnchorOptions):
    """A base class for the options of methods that mix anchors by auxiliary embeddings."""

    rare: str = option(
        "ngrams",
        choices=("ngrams", "fill"),
        help="Tokens that are too rare for a vector of their own: mix them by the vector of their n-grams, or fill "
        "them.",
    )


def mixing_of_anchors(
    given: Given, blocks_of: "Callable[[np.ndarray, np.ndarray], Iterable[Block]]", *, convex: bool = True
) -> "Mixing":
    """The mixing in which overlapping tokens keep their rows, and new tokens with a vector are mixtures of anchors.

    The anchors are the overlapping tokens that have a vector of their own. ``blocks_of``: a function from the target
    ids of the new tokens and those of the anchors to the blocks of the new tokens; column i of a block's weights is
    anchor i. ``given.options`` must be an instance of AnchorOptions, and ``given.vectors`` is needed. Raises FocusError
    if there are new tokens but no anchors.
    """
    import numpy as np

    from focus_plugin.mixing.mixing import Mixing, merged

    options, target, auxiliary = given.options, given.target, given.vectors
    assert auxiliary is not None
    copied = overlapping(given)
    known = np.any(auxiliary.vectors != 0, axis=1)
    anchors = np.flatnonzero(known & ~auxiliary.rare & (copied >= 0) & (options.special_anchors | ~target.special))
    mix_rare = options.rare == "ngrams"
    new = np.flatnonzero(known & (mix_rare | ~auxiliary.rare) & (copied < 0) & ~target.special)
    if not len(new):
        return Mixing(copied, convex=convex)
    if not len(anchors):
        raise FocusError(_nothing_to_mix(bool(np.any((copied >= 0) & ~target.special))))
    blocks = blocks_of(new, anchors)
    ids, columns = np.unique(copied[anchors], return_inverse=True)
    if len(ids) == len(anchors):
        return Mixing(copied, copied[anchors], blocks, convex)
    # Several target tokens can overlap with the same source token: each has its own vector, but they share one row.
    return Mixing(copied, ids, (merged(block, columns, len(ids)) for block in blocks), convex)


def _nothing_to_mix(overlapping: bool) -> str:
    if overlapping:
        return (
            "No token that both vocabularies hold has an auxiliary embedding, so there is nothing to mix. Check that "
            "the auxiliary embeddings were made with the target vocabulary, on text of the target language."
        )
    return (
        "Source and target vocabulary have only special tokens in common, so there is nothing to mix. Check "
        "that each was read from the right files and that they share a script; --match-fuzzy also matches tokens "
        "that differ in case or word start."
    )
