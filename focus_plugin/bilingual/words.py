"""The pairs of words of a bilingual dictionary, as they are in the file."""

from collections import Counter
from dataclasses import dataclass

from focus_plugin.bilingual.dictionary import Entry, entries
from focus_plugin.errors import FocusError
from focus_plugin.text import Text


@dataclass(frozen=True)
class WordPairs:
    """The content of a bilingual dictionary.

    pairs: words with their translations, in the order of the file, repetitions included. left_out: the places (file and
    line) of lines that are not a word and its translation; blank lines are not counted.
    """

    pairs: tuple[Entry, ...]
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        """How many pairs there are, how many of them repeat earlier ones, and how many lines were left out."""
        repeated = sum(count - 1 for count in Counter(self.pairs).values())
        said = f"{len(self.pairs):,} pairs of words"
        if repeated:
            said += f", {repeated:,} of which repeat earlier ones"
        if self.left_out:
            said += f"; {len(self.left_out):,} lines were left out, the first being {self.left_out[0]}"
        return said


def read_word_pairs(text: Text) -> WordPairs:
    """Read a dictionary in the formats of :func:`focus_plugin.bilingual.dictionary.entries`.

    Raises FocusError for a file that is not UTF-8, and for one without pairs.
    """
    pairs: list[Entry] = []
    left_out: list[str] = []
    for place, entry in entries(text.files):
        if entry:
            pairs.append(entry)
        else:
            left_out.append(place)
    if not pairs:
        raise FocusError(
            f"{text}: has no pair of words; expected a word, a tab and its translation on each line, or two words."
        )
    return WordPairs(tuple(pairs), tuple(left_out))
