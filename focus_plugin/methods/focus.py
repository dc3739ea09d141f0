"""FOCUS: new tokens as sparse mixtures of overlapping ones (Dobler & de Melo, EMNLP 2023, section 3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from focus_plugin.mixing.anchors import AnchorOptions, mixing_of_anchors
from focus_plugin.mixing.declaration import Given, Method, Need
from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np

    from focus_plugin.mixing.mixing import Block, Mixing


@dataclass(frozen=True, kw_only=True)
class FocusOptions(AnchorOptions):
    """The options of FOCUS."""

    alpha: float = option(
        2.0,
        minimum=1,
        maximum=2,
        help="How long mixtures are: the alpha of entmax, from 1 (softmax: all anchors) to 2 (sparsemax: a few).",
    )


def focus(given: Given) -> "Mixing":
    """The mixing matrix of FOCUS.

    Overlapping tokens keep their rows. A new token with an auxiliary embedding is weighted over the overlapping tokens
    with a vector of their own by the sparsemax of the cosine similarities, or by another entmax. Raises FocusError if
    no overlapping token has a vector.
    """
    from focus_plugin.mixing.cosines import VectorsOf
    from focus_plugin.mixing.entmax import entmax_floor, entmax_weights
    from focus_plugin.mixing.similarity import Weighing, similar

    alpha, auxiliary = given.options.alpha, given.vectors
    assert auxiliary is not None
    weighing = Weighing(partial(entmax_weights, alpha=alpha), partial(entmax_floor, alpha=alpha) if alpha > 1 else None)

    def blocks(new: "np.ndarray", anchors: "np.ndarray") -> "Iterator[Block]":
        sides = VectorsOf(auxiliary.vectors, new), VectorsOf(auxiliary.vectors, anchors)
        return similar(*sides, weighing, given.device, given.progress)

    return mixing_of_anchors(given, blocks)


def _packages(options: FocusOptions) -> tuple[str, ...]:
    return ("entmax",) if 1 < options.alpha < 2 else ()


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
        "alpha": 2.0,
        "special_anchors": True,
        "calibrate": 0,
        "rank_bias": True,
    },
    packages=_packages,
)
