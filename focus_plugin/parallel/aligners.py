"""From pairs of sentences to how often their words translate each other."""

from collections.abc import Callable
from dataclasses import dataclass

from focus_plugin.errors import FocusError
from focus_plugin.parallel.counts import TranslationCounts
from focus_plugin.parallel.model1 import align_by_model1
from focus_plugin.parallel.programs import align_by_eflomal, align_by_fast_align
from focus_plugin.parallel.text import Pairs
from focus_plugin.parallel.words import WordCutter

_LONGEST = 1000  # words of a line; work and memory grow with the product of the two lengths

ALIGNERS = {"model1": align_by_model1, "eflomal": align_by_eflomal, "fast_align": align_by_fast_align}


@dataclass(frozen=True)
class Aligner:
    """Aligns words. name: one of ALIGNERS. source, target: how each side is cut into words."""

    name: str
    source: WordCutter
    target: WordCutter


def translation_counts(pairs: Pairs, by: Aligner, tell: Callable[[str], object]) -> TranslationCounts:
    """The aligned words of ``pairs``.

    Pairs with a side that has no word, or more than _LONGEST, are left out, and ``tell`` is called with a sentence
    about them. Raises FocusError if none is left, or if an aligner that is a program is not installed or fails.
    """
    old, new = by.source.words(pairs.source), by.target.words(pairs.target)
    kept = (old.lengths > 0) & (new.lengths > 0) & (old.lengths <= _LONGEST) & (new.lengths <= _LONGEST)
    if not kept.any():
        raise FocusError("No pair of sentences of the parallel text has words that both tokenizers can write.")
    if not kept.all():
        tell(f"{(~kept).sum():,} pairs of sentences with no word, or more than {_LONGEST:,}, on a side were left out.")
    return ALIGNERS[by.name](old.of_lines(kept), new.of_lines(kept))
