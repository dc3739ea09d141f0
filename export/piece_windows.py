"""Divides the pieces of a text that is longer than a model reads into overlapping windows at word boundaries."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

_OVERLAP = 4  # two windows share up to 1/_OVERLAP of their pieces


@dataclass(frozen=True)
class PieceWindow:
    """A window, in numbers of pieces from the beginning of the text.

    start, end: the pieces that the model reads. kept_start, kept_end: those whose outputs are used. Each piece of a
    text is kept in one window: of those that have it, the one in which it has more context.
    """

    start: int
    end: int
    kept_start: int
    kept_end: int


def piece_windows(sizes: Sequence[int], room: int) -> tuple[PieceWindow, ...]:
    """The windows of a text; ``sizes``: the number of pieces of each word; ``room``: the most pieces in a window.

    A window begins and ends between words, unless a word has more pieces than a window.
    """
    if sum(sizes) <= room:
        return (PieceWindow(0, sum(sizes), 0, sum(sizes)),)
    edges = [0, *accumulate(part for size in sizes for part in _parts(size, room))]
    last, starts, ends = len(edges) - 1, [0], [_reach(edges, 0, room)]
    while ends[-1] < last:
        # Only neighbours overlap, and the next word has to fit.
        earliest = max(starts[-1] + 1, ends[-2] if len(ends) > 1 else 0)
        first = max(edges[ends[-1]] - room // _OVERLAP, edges[ends[-1] + 1] - room)
        starts.append(bisect_left(edges, first, earliest, ends[-1]))
        ends.append(_reach(edges, starts[-1], room))
    middles = [
        bisect_left(edges, (edges[start] + edges[end]) / 2, start, end)
        for start, end in zip(starts[1:], ends[:-1], strict=True)
    ]
    kept = zip([0, *middles], [*middles, last], strict=True)
    return tuple(
        PieceWindow(*(edges[edge] for edge in (start, end, *inner)))
        for start, end, inner in zip(starts, ends, kept, strict=True)
    )


def _reach(edges: Sequence[int], start: int, room: int) -> int:
    """The last edge that is at most ``room`` pieces after the edge ``start``."""
    return bisect_right(edges, edges[start] + room) - 1


def _parts(size: int, room: int) -> list[int]:
    """A word's number of pieces, in parts that fit in a window."""
    return [min(room, size - done) for done in range(0, size, room)]
