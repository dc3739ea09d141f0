"""Cuts raw text into words in the same way as the training data of a tagger.

In most training data, punctuation that touches a word is a word of its own, but an apostrophe in a word is not. Which
characters are part of a word, and where, is learned by ``focus_plugin/tagging/splitting.py``.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

# Where a sign can be: before a letter, between letters (or a letter and a digit), between digits, after a letter.
PLACES = ("start", "inside", "digits", "end")
_CHUNKS = 1 << 16  # the number of different chunks of text whose words are kept in memory
_JOINER = "\u200d"  # joins two emoji into one

Span = tuple[int, int]  # start and end in the text, in characters


@dataclass(frozen=True)
class WordSplitter:
    """Cuts text at white space, and at each sign (a character of punctuation, or a symbol) unless it is part of a word.

    joined: for each of PLACES, the signs that are part of a word there; all others are words of their own. whole: words
    that are not cut although they have a sign that is otherwise a word of its own, such as "Dr.".
    """

    joined: tuple[str, ...]
    whole: tuple[str, ...] = ()

    def spans(self, text: str) -> list[Span]:
        """Start and end of every word. The words are in order, do not overlap, and have all of the text but spaces."""
        return [
            (chunk.start() + start, chunk.start() + end)
            for chunk in re.finditer(r"\S+", text)
            for start, end in self._chunk_spans(chunk[0])
        ]

    @cached_property
    def _chunk_spans(self) -> Callable[[str], tuple[Span, ...]]:
        """The words of a chunk, a text without white space."""
        return lru_cache(_CHUNKS)(lambda chunk: tuple(self._cut(chunk)))

    @cached_property
    def _whole_words(self) -> re.Pattern[str]:
        """Finds the words in ``whole`` that do not continue in letters or digits; the longest first."""
        words = sorted(self.whole, key=lambda word: (-len(word), word))
        return re.compile("|".join(map(_alone, words)) or r"(?!)")

    def _cut(self, chunk: str) -> list[Span]:
        if chunk.isalnum():
            return [(0, len(chunk))]
        found, done = [], 0
        for match in (*self._whole_words.finditer(chunk), None):
            start, end = match.span() if match else (len(chunk), len(chunk))
            if done < start:
                found += [(done + first, done + last) for first, last in self._cut_at_signs(chunk[done:start])]
            found += [(start, end)] if match else []
            done = end
        return found

    def _cut_at_signs(self, chunk: str) -> list[Span]:
        places = sign_places(chunk)
        alone = [is_sign(sign) and not self._is_joined(sign, place) for sign, place in zip(chunk, places, strict=True)]
        cuts = [
            number
            for number in range(1, len(chunk))
            if (alone[number - 1] or alone[number]) and not _continues(chunk[number]) and chunk[number - 1] != _JOINER
        ]
        return list(zip([0, *cuts], [*cuts, len(chunk)], strict=True))

    def _is_joined(self, sign: str, place: str | None) -> bool:
        return place is not None and sign in self.joined[PLACES.index(place)]


def is_sign(character: str) -> bool:
    """Whether a character is punctuation or a symbol in Unicode."""
    return unicodedata.category(character)[0] in "PS"


def sign_places(text: str) -> list[str | None]:
    """Where each character of a text is, one of PLACES; None if no letter or digit is beside it."""
    places: list[str | None] = []
    before = " "
    for character, after in zip(text, f"{text[1:]} ", strict=True):
        left, right = (not beside.isspace() and not is_sign(beside) for beside in (before, after))
        if left and right:
            places.append("digits" if before.isdigit() and after.isdigit() else "inside")
        else:
            places.append("start" if right else "end" if left else None)
        before = before if _continues(character) else character
    return places


def _continues(character: str) -> bool:
    """Whether a character, such as a combining mark, changes the one before it, and is never cut off from it."""
    category = unicodedata.category(character)
    return category[0] == "M" or category == "Cf"


def _alone(word: str) -> str:
    """A regular expression for a word that does not continue in letters or digits."""
    before = "" if is_sign(word[0]) else r"(?<!\w)"
    after = "" if is_sign(word[-1]) else r"(?!\w)"
    return f"{before}{re.escape(word)}{after}"
