"""How often words translate each other, as found by an aligner, and a file of such counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from focus_plugin.errors import FocusError
from focus_plugin.parallel.words import Word, WordCutter
from focus_plugin.text import Text

NOTHING = "<eps>"  # a word that translates nothing, in fast_align's files
_LARGEST_LEFT_OUT_SHARE = 0.05
_SHOWN = 3


@dataclass(frozen=True)
class TranslationCounts:
    """Pairs of words that translate each other.

    source_words, target_words: the words, each as the ids of its tokens. source, target: (n,), indices of these.
    counts: (n,), float64, how often the two are aligned.
    """

    source_words: tuple[Word, ...]
    target_words: tuple[Word, ...]
    source: np.ndarray
    target: np.ndarray
    counts: np.ndarray

    def at_least(self, least: int) -> Iterator[tuple[Word, Word, int]]:
        """Yield a word of the source, its translation and their count, rounded down, if that is at least ``least``."""
        for i in np.flatnonzero(self.counts >= least).tolist():
            yield self.source_words[self.source[i]], self.target_words[self.target[i]], int(self.counts[i])


class _Line(NamedTuple):
    """A pair of words in a file. joined: whether a word is its tokens, joined."""

    place: str
    source: str
    target: str
    times: int
    joined: bool


@dataclass(frozen=True)
class CountsText:
    """An alignment that was made elsewhere, each line of which is a pair of words with its count.

    A line has three columns, separated by tabs: a word of the source's language, its translation, and how often they
    are aligned. Or it has four, as the fast_align of trans-tokenizers writes them: the tokens of the word, joined by
    ``—``; those of its translation; a logarithm, which is ignored; and the count.
    """

    text: Text

    def at_least(self, least: int, source: WordCutter, target: WordCutter) -> Iterator[tuple[Word, Word, int]]:
        """As :meth:`TranslationCounts.at_least`. Pairs with a token that a vocabulary lacks are left out.

        Raises FocusError for a line of another form, and if more than a twentieth of all pairs with enough counts are
        left out, because these are then not the tokens of the two vocabularies.
        """
        read, unknown = 0, []
        for line in self._lines():
            if line.times < least or NOTHING in (line.source, line.target):
                continue
            read += 1
            cut = WordCutter.joined if line.joined else WordCutter.word
            left, right = cut(source, line.source), cut(target, line.target)
            if left and right:
                yield left, right, line.times
            else:
                unknown.append((line.place, line.target if left else line.source))
        if not read:
            raise FocusError(f"{self.text}: has no pair of words with a count of at least {least}.")
        if len(unknown) > _LARGEST_LEFT_OUT_SHARE * read:
            shown = ", ".join(f"{word!r} in {place}" for place, word in unknown[:_SHOWN])
            raise FocusError(
                f"{self.text}: {len(unknown):,} of {read:,} pairs have a word that the source or target vocabulary "
                f"cannot write, such as {shown}; was it made with other tokenizers?"
            )

    def _lines(self) -> Iterator[_Line]:
        for place, line in self.text.places():
            if not line.strip():
                continue
            cells = line.split("\t")
            try:
                if len(cells) not in (3, 4) or not (cells[0] and cells[1]):
                    raise ValueError(f"{len(cells)} columns")
                yield _Line(place, cells[0], cells[1], int(float(cells[-1])), len(cells) == 4)
            except (ValueError, OverflowError) as error:
                raise FocusError(
                    f"{place}: expected two words and how often they are aligned, separated by tabs ({error})."
                ) from error
