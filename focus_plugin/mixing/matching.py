"""The overlap of two vocabularies, whose rows are copied, and the options by which tokens are compared."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.mixing.declaration import Given
from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class MatchingOptions:
    """A base class for the options of methods. By default tokens overlap if their canonical forms are equal."""

    match_symbols: bool = option(False, help="Ignore word starts when numbers, punctuation and spaces are compared.")
    match_fuzzy: bool = option(False, help="Ignore case and word starts when tokens are compared.")


@dataclass(frozen=True, kw_only=True)
class CopyOverlapOptions(MatchingOptions):
    """A base class for the options of methods that make overlapping tokens as all others, unless told to copy them."""

    copy_overlap: bool = option(False, help="Let overlapping tokens keep their rows.")


def overlapping(given: Given) -> "np.ndarray":
    """For each target token the id of the source token that it overlaps with, or -1; shape (target,), int64.

    ``given.options`` must be an instance of MatchingOptions.
    """
    from focus_plugin.vocabulary.overlap import Matching, overlap

    options = given.options
    return overlap(given.source, given.target, Matching(options.match_symbols, options.match_fuzzy))


def kept(given: Given) -> "np.ndarray":
    """As :func:`overlapping`, but only for special tokens unless overlapping tokens keep their rows.

    ``given.options`` must be an instance of CopyOverlapOptions.
    """
    import numpy as np

    same = overlapping(given)
    return same if given.options.copy_overlap else np.where(given.target.special, same, -1)
