"""Which target tokens keep the row of a source token: the options of every method that copies, and the copies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.mixing.declaration import Given
from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class MatchingOptions:
    """To inherit from. Without them, tokens overlap if their canonical forms are the same."""

    match_symbols: bool = option(False, help="Numbers, punctuation and space overlap without regard to word starts.")
    match_fuzzy: bool = option(False, help="All tokens overlap without regard to case and word starts.")


def overlapping(given: Given) -> "np.ndarray":
    """For each target token the id of the source token that it is the same as, or -1; shape (target,), int64.

    ``given.options`` must be MatchingOptions.
    """
    from focus_plugin.vocabulary.overlap import Matching, overlap

    options = given.options
    return overlap(given.source, given.target, Matching(options.match_symbols, options.match_fuzzy))
