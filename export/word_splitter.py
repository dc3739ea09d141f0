"""Cuts raw text into words in the same way as the training data of a tagger.

In most training data, punctuation that touches a word is a word of its own, but an apostrophe in a word is not. Which
characters are part of a word, and where, is learned by ``focus_plugin/tagging/splitting.py``.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

# Where a sign can be: before a letter, between letters (or a letter and a digit), between digits, after a letter.
PLACES = ("start", "inside", "digits", "end")
_CHUNKS = 1 << 16  # the number of different chunks of text whose words are kept in memory
_JOINERS = "\u200d\u17d2\u1039"  # make one character of those beside them: of two emoji, Khmer or Burmese letters
_FLAG_HALVES = re.compile("[\U0001f1e6-\U0001f1ff]+$")  # two of them are a flag
# Thai and Lao, Burmese, Khmer, Japanese kana, and Chinese characters.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff]"
)

Span = tuple[int, int]  # start and end in the text, in characters


@dataclass(frozen=True)
class WordSplitter:
    """Cuts text at white space, at each sign (a character of punctuation, or a symbol) unless it is part of a word, and
    at each letter of a script that is written without spaces between words.

    joined: for each of PLACES, the signs that are part of a word there; all others are words of their own. whole: words
    that are not cut although they have a sign that is otherwise a word of its own, such as "Dr.", or several letters of
    a script without spaces.
    """

    joined: tuple[str, ...]
    whole: tuple[str, ...] = ()

    def spans(self, text: str) -> list[Span]:
        """Start and end of every word. The words are in order, do not overlap, and have all of the text but spaces, of
        which U+200B, between words of Khmer and Thai, is one."""
        return [
            (chunk.start() + start, chunk.start() + end)
            for chunk in re.finditer(r"[^\s\u200b]+", text)
            for start, end in self._chunk_spans(chunk[0])
        ]

    @cached_property
    def _chunk_spans(self) -> Callable[[str], tuple[Span, ...]]:
        """The words of a chunk, a text without white space."""
        return lru_cache(_CHUNKS)(lambda chunk: tuple(self._cut(chunk)))

    @cached_property
    def _whole_words(self) -> dict[str, list[str]]:
        """The words in ``whole`` by their first character, the longest first."""
        words: dict[str, list[str]] = defaultdict(list)
        for word in sorted(self.whole, key=lambda word: (-len(word), word)):
            words[word[0]].append(word)
        return dict(words)

    def _whole_spans(self, chunk: str) -> Iterator[Span]:
        """Where words in ``whole`` are, from left to right, the longest at each place."""
        start = 0
        while start < len(chunk):
            found = (word for word in self._whole_words.get(chunk[start], ()) if chunk.startswith(word, start))
            ends = (start + len(word) for word in found)
            end = next((end for end in ends if _may_cut(chunk, start) and _may_cut(chunk, end)), None)
            if end:
                yield start, end
            start = end or start + 1

    def _cut(self, chunk: str) -> list[Span]:
        if chunk.isalnum() and not is_unspaced(chunk):
            return [(0, len(chunk))]
        found, done = [], 0
        for start, end in (*self._whole_spans(chunk), (len(chunk), len(chunk))):
            if done < start:
                found += [(done + first, done + last) for first, last in self._cut_at_signs(chunk[done:start])]
            found += [(start, end)] if start < end else []
            done = end
        return found

    def _cut_at_signs(self, chunk: str) -> list[Span]:
        places = sign_places(chunk)
        alone = [
            not self._is_joined(character, place) if is_sign(character) else is_unspaced(character)
            for character, place in zip(chunk, places, strict=True)
        ]
        cuts = [
            number
            for number in range(1, len(chunk))
            if (alone[number - 1] or alone[number]) and not _is_attached(chunk, number)
        ]
        return list(zip([0, *cuts], [*cuts, len(chunk)], strict=True))

    def _is_joined(self, sign: str, place: str | None) -> bool:
        return place is not None and sign in self.joined[PLACES.index(place)]


def is_sign(character: str) -> bool:
    """Whether a character is punctuation or a symbol in Unicode."""
    return unicodedata.category(character)[0] in "PS"


def is_unspaced(text: str) -> bool:
    """Whether a text has a letter of a script that is written without spaces between words, such as Chinese or Thai."""
    return any(not character.isdigit() for character in _UNSPACED.findall(text))


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
    """Whether a character, such as a combining mark or a skin tone, changes the one before it and is never cut off."""
    category = unicodedata.category(character)
    return category[0] == "M" or category == "Cf" or "\U0001f3fb" <= character <= "\U0001f3ff"


def _is_attached(text: str, place: int) -> bool:
    """Whether the character at ``place``, which is not the first one, belongs to the one before it."""
    if _continues(text[place]) or text[place - 1] in _JOINERS:
        return True
    halves = _FLAG_HALVES.search(text, 0, place) if _FLAG_HALVES.match(text[place]) else None
    return halves is not None and len(halves[0]) % 2 == 1


def _may_cut(text: str, place: int) -> bool:
    """Whether a word may end and another one begin before ``text[place]``: at an end of the text, at a sign, and at a
    letter of a script without spaces."""
    if place in (0, len(text)):
        return True
    beside = text[place - 1 : place + 1]
    return not _is_attached(text, place) and (is_unspaced(beside) or any(map(is_sign, beside)))
