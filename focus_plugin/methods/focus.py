"""FOCUS: new tokens as sparse mixtures of overlapping ones (Dobler & de Melo, EMNLP 2023, section 3)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Given, Method, Need
from focus_plugin.mixing.matching import MatchingOptions, overlapping
from focus_plugin.options import option

if TYPE_CHECKING:
    from focus_plugin.mixing.mixing import Mixing


@dataclass(frozen=True, kw_only=True)
class FocusOptions(MatchingOptions):
    """The options of FOCUS."""

    rare: str = option(
        "ngrams",
        choices=("ngrams", "fill"),
        help="Tokens that are too rare for a vector of their own: mix them by the vector of their n-grams, or fill "
        "them.",
    )
    special_anchors: bool = option(
        False, help="Allow special tokens in mixtures. Only </s> has a vector, fastText's vector of the line end."
    )


def focus(given: Given) -> "Mixing":
    """The mixing matrix of FOCUS.

    Overlapping tokens keep their rows. A new token with an auxiliary embedding is weighted over the overlapping tokens
    with a vector of their own by the sparsemax of the cosine similarities. Raises FocusError if no overlapping token
    has a vector.
    """
    import numpy as np

    from focus_plugin.mixing.mixing import Mixing, merged
    from focus_plugin.mixing.similarity import similar

    options, target, auxiliary = given.options, given.target, given.vectors
    assert auxiliary is not None
    copied, mix_rare = overlapping(given), options.rare == "ngrams"
    known = np.any(auxiliary.vectors != 0, axis=1)
    anchors = np.flatnonzero(known & ~auxiliary.rare & (copied >= 0) & (options.special_anchors | ~target.special))
    new = np.flatnonzero(known & (mix_rare | ~auxiliary.rare) & (copied < 0) & ~target.special)
    if len(new) and not len(anchors):
        raise FocusError(_nothing_to_mix(bool(np.any((copied >= 0) & ~target.special))))
    blocks = similar(auxiliary.vectors, new, anchors, given.device, given.progress)
    ids, columns = np.unique(copied[anchors], return_inverse=True)
    if len(ids) == len(anchors):
        return Mixing(copied, copied[anchors], blocks)
    # Several target tokens can overlap with the same source token: each has its own vector, but they share one row.
    return Mixing(copied, ids, (merged(block, columns, len(ids)) for block in blocks))


def _nothing_to_mix(overlapping: bool) -> str:
    if overlapping:
        return (
            "No token that both vocabularies hold has an auxiliary embedding, so FOCUS has nothing to mix. Check that "
            "the auxiliary embeddings were made with the target vocabulary, on text of the target language."
        )
    return (
        "Source and target vocabulary have only special tokens in common, so FOCUS has nothing to mix. Check "
        "that each was read from the right files and that they share a script; --match-fuzzy also matches tokens "
        "that differ in case or word start."
    )


METHOD = Method(
    name="focus",
    summary="New tokens are sparse mixtures of the overlapping tokens most similar in auxiliary embeddings.",
    paper="Dobler & de Melo, FOCUS, EMNLP 2023, https://aclanthology.org/2023.emnlp-main.829",
    make=focus,
    options=FocusOptions,
    needs=(Need.VECTORS,),
    published={
        "trainer": "fasttext",
        "sample_mb": 0,
        "dimension": 100,
        "epochs": 3,
        "minimum_count": 10,
        "seed": 42,
        "rare": "fill",
        "special_anchors": True,
        "calibrate": 0,
        "rank_bias": True,
    },
)
