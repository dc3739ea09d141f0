"""Cuts lines into words that are made of a tokenizer's tokens, the units that are aligned."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from focus_plugin.vocabulary.forms import WORD_START, is_bytes
from focus_plugin.vocabulary.tokenizers import Tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import Vocabulary

_BATCH = 4096  # lines that are cut at once
JOINED = "—"  # between the tokens of a word in the files of trans-tokenizers

Word = tuple[int, ...]  # ids of tokens


@dataclass(frozen=True)
class Words:
    """The words of n lines.

    known: the different words, each as the ids of its tokens. numbers: the words of all lines, one line after the
    other, as indices of ``known``; int32. lengths: (n,), the number of words of each line.
    """

    known: tuple[Word, ...]
    numbers: np.ndarray
    lengths: np.ndarray

    def of_lines(self, chosen: np.ndarray) -> "Words":
        """The words of some lines; ``chosen``: shape (n,), bool."""
        return Words(self.known, self.numbers[np.repeat(chosen, self.lengths)], self.lengths[chosen])


@dataclass(frozen=True)
class WordCutter:
    """Cuts text of one language. vocabulary, tokenizer: its tokens."""

    vocabulary: Vocabulary
    tokenizer: Tokenizer

    @cached_property
    def _table(self) -> np.ndarray:
        return piece_ids(self.tokenizer, self.vocabulary)

    @cached_property
    def _special(self) -> frozenset[int]:
        return frozenset(np.flatnonzero(self.vocabulary.special).tolist())

    def words(self, lines: Sequence[str]) -> Words:
        """The words of ``lines``. A word with a token that the vocabulary lacks is left out.

        A token belongs to the word of the token before it if it does not start a word and both touch with a letter, as
        in the authors' software. All other tokens, such as punctuation, are words, too.
        """
        joins = _Joins.of(self.vocabulary)
        places: dict[Word, int] = {}
        numbers: list[int] = []
        lengths: list[int] = []
        for start in range(0, len(lines), _BATCH):
            for cut in self.tokenizer.ids(list(lines[start : start + _BATCH])):
                before = len(numbers)
                for word in joins.words(self._table[np.array(cut, dtype=np.int64)].tolist()):
                    if self._is_text(word):
                        numbers.append(places.setdefault(word, len(places)))
                lengths.append(len(numbers) - before)
        return Words(tuple(places), np.array(numbers, dtype=np.int32), np.array(lengths, dtype=np.int64))

    def word(self, text: str) -> Word | None:
        """The tokens of one word; None if the vocabulary lacks one."""
        [cut] = self.tokenizer.ids([text])
        word = tuple(self._table[np.array(cut, dtype=np.int64)].tolist())
        return word if word and self._is_text(word) else None

    def joined(self, text: str) -> Word | None:
        """The tokens of one word that are joined by ``JOINED`` in ``text``; None if the vocabulary lacks one."""
        ids = self.vocabulary.ids
        tokens = [text] if text in ids else text.split(JOINED)
        word = tuple(ids.get(token, -1) for token in tokens)
        return word if -1 not in word and self._is_text(word) else None

    def _is_text(self, word: Word) -> bool:
        return self._special.isdisjoint(word)


@dataclass(frozen=True)
class _Joins:
    """Which tokens can be joined with the one after them, and which with the one before, by id."""

    after: list[bool]
    before: list[bool]

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> "_Joins":
        """The joins of a vocabulary's tokens."""
        after = [is_bytes(form) or _is_letter(form[-1:]) for form in vocabulary.forms]
        inside = [not form.startswith(WORD_START) for form in vocabulary.forms]
        before = [
            i and (is_bytes(form) or _is_letter(form[:1])) for i, form in zip(inside, vocabulary.forms, strict=True)
        ]
        text = (~vocabulary.special).tolist()
        return cls(*([a and b for a, b in zip(flags, text, strict=True)] for flags in (after, before)))

    def words(self, tokens: list[int]) -> list[Word]:
        """The words that the tokens of a line form."""
        found: list[list[int]] = []
        for i, token in enumerate(tokens):
            if i and self.before[token] and self.after[tokens[i - 1]]:
                found[-1].append(token)
            else:
                found.append([token])
        return [tuple(word) for word in found]


def _is_letter(character: str) -> bool:
    """Whether a character is a letter or a mark on one. A byte that is no whole character is taken for a letter."""
    return bool(character) and unicodedata.category(character)[0] in "LM"
