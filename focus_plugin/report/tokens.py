"""The table of all tokens and their mixtures, in a compact form for the page."""

from dataclasses import dataclass

import numpy as np

from focus_plugin.transfer.origins import COPIED, MIXED, Origins
from focus_plugin.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Tokens:
    """The table.

    forms: the canonical forms of the target's tokens by id, followed by the forms of source tokens that the target
    lacks. An index into this list is called a place below. kinds: one digit for each target token, as in ``Origins``.
    mixtures: for each mixed token, in order, a list of its support, its similarity (in thousandths, or None), and for
    each anchor its place and its weight in thousandths. copies: pairs of a target id and the place of the source token,
    if their forms differ. counts: how often each target token occurs, None if unknown.
    """

    forms: list[str]
    kinds: str
    mixtures: list[list[int | None]]
    copies: list[tuple[int, int]]
    counts: list[int] | None


def tokens(origins: Origins, source: Vocabulary, target: Vocabulary, token_counts: np.ndarray | None) -> Tokens:
    """Make the table. ``token_counts``: shape (target,), int64, how often each token occurs, None if unknown."""
    places: dict[str, int] = {}
    for i, form in enumerate(target.forms):
        places.setdefault(form, i)
    others: list[str] = []

    def place(anchor: int) -> int:
        """The index of the anchor's form in ``forms``; a form that is not there yet is appended."""
        form = source.forms[anchor]
        if form not in places:
            places[form] = len(target) + len(others)
            others.append(form)
        return places[form]

    mixed = np.flatnonzero(origins.kind == MIXED)
    similarity = origins.similarity[mixed]
    compared = [None if value != value else round(1000 * value) for value in similarity.tolist()]
    heads = zip(origins.support[mixed].tolist(), compared, strict=True)
    anchors, weights = origins.anchors[mixed].tolist(), np.rint(1000 * origins.weights[mixed]).astype(int).tolist()
    mixtures = [
        [*head, *(number for i, w in zip(*row, strict=True) if i >= 0 for number in (place(i), w))]
        for head, *row in zip(heads, anchors, weights, strict=True)
    ]
    copied = np.flatnonzero(origins.kind == COPIED)
    sources = zip(copied.tolist(), origins.anchors[copied, 0].tolist(), strict=True)
    copies = [(i, place(anchor)) for i, anchor in sources if source.forms[anchor] != target.forms[i]]
    kinds = "".join(map(str, origins.kind.tolist()))
    counts = None if token_counts is None else token_counts.tolist()
    return Tokens([*target.forms, *others], kinds, mixtures, copies, counts)
