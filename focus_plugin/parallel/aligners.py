"""From pairs of sentences to how often their words translate each other."""

from collections.abc import Callable

from focus_plugin.errors import FocusError
from focus_plugin.parallel.counts import TranslationCounts
from focus_plugin.parallel.model1 import align_by_model1
from focus_plugin.parallel.text import Pairs
from focus_plugin.parallel.words import WordCutter

LONGEST = 1000  # words of a line; work and memory grow with the product of the two lengths


def translation_counts(
    pairs: Pairs, source: WordCutter, target: WordCutter, tell: Callable[[str], object]
) -> TranslationCounts:
    """The aligned words of ``pairs``.

    Pairs with a side that has no word, or more than LONGEST, are left out, and ``tell`` is called with a sentence about
    them. Raises FocusError if none is left.
    """
    old, new = source.words(pairs.source), target.words(pairs.target)
    kept = (old.lengths > 0) & (new.lengths > 0) & (old.lengths <= LONGEST) & (new.lengths <= LONGEST)
    if not kept.any():
        raise FocusError("No pair of sentences of the parallel text has words that both tokenizers can write.")
    if not kept.all():
        tell(f"{(~kept).sum():,} pairs of sentences with no word, or more than {LONGEST:,}, on a side were left out.")
    return align_by_model1(old.of_lines(kept), new.of_lines(kept))
