"""Spans of a line that two tokenizers both cut at their ends, and the division of a token into shorter ones."""

from collections.abc import Mapping

import numpy as np


def span_edges(one_ends: np.ndarray, other_ends: np.ndarray) -> tuple[list[int], list[int]]:
    """Where spans begin in two cuts of the same line; both (spans + 1,), ending with the number of pieces.

    ``one_ends``, ``other_ends``: where the pieces of each cut end, in characters; neither decreases or is empty. Each
    span has at least one piece of both. The last one ends with the line; each other ends where pieces of both end.
    """
    inner = np.intersect1d(one_ends, other_ends)[:-1]
    one, other = (np.searchsorted(ends, inner, side="right").tolist() for ends in (one_ends, other_ends))
    return [0, *one, len(one_ends)], [0, *other, len(other_ends)]


def division(text: str, tokens: Mapping[str, int], longest: int) -> list[int]:
    """The ids of as few ``tokens`` as possible that together are ``text``, but not ``text`` itself; or an empty list.

    ``longest``: the length of the longest token. Of several divisions, that with the longer tokens at the end is taken.
    """
    fewest: list[list[int] | None] = [[]]
    for end in range(1, len(text) + 1):
        best = None
        for start in range(max(0, end - longest), end):
            before, token = fewest[start], tokens.get(text[start:end])
            if before is None or token is None or end - start == len(text):
                continue
            if best is None or len(before) + 1 < len(best):
                best = [*before, token]
        fewest.append(best)
    return fewest[-1] or []
