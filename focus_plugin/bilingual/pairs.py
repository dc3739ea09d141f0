"""Pairs of words that translate each other, as tokens of a vocabulary: the file of pairs in a data directory."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from focus_export.tokenizer import before_words

from focus_plugin.bilingual.dictionary import entries
from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import batches
from focus_plugin.vocabulary.tokenizers import Tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import Vocabulary

PAIRS = "translations.tsv"
_SHOWN = 3  # places that a sentence names
_REASONS = {
    "sides": "not a word and its translation",
    "unknown": "a word that the vocabulary cannot encode",
    "equal": "the same tokens on both sides",
    "repeated": "a pair that is there before",
}


@dataclass(frozen=True)
class TokenPair:
    """The tokens of a word and those of its translation."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    @property
    def single(self) -> bool:
        """Whether each word is one token."""
        return len(self.source) == len(self.target) == 1


@dataclass(frozen=True)
class EncodedDictionary:
    """The pairs of a dictionary, in its order, and what was left out.

    entries: the number of entries. left_out: for each reason, how many entries and the places of the first of them.
    """

    pairs: tuple[TokenPair, ...]
    entries: int
    left_out: dict[str, tuple[int, tuple[str, ...]]]

    def counts(self) -> dict[str, Any]:
        """The figures for a manifest."""
        counted = {name: {"entries": count, "first": list(places)} for name, (count, places) in self.left_out.items()}
        return {
            "entries": self.entries,
            "pairs": len(self.pairs),
            "single_piece_pairs": sum(pair.single for pair in self.pairs),
            "left_out": counted,
        }


def dictionary_sentences(counts: dict[str, Any]) -> list[str]:
    """What :meth:`EncodedDictionary.counts` says, in sentences for the user."""
    found = (
        f"Dictionary: {counts['pairs']:,} pairs of {counts['entries']:,} entries, "
        f"{counts['single_piece_pairs']:,} of them with one token on each side."
    )
    left_out = [
        f"Left out of the dictionary: {left['entries']:,} with {_REASONS[name]} ({'; '.join(left['first'])}"
        f"{'; and so on' if left['entries'] > len(left['first']) else ''})."
        for name, left in counts["left_out"].items()
    ]
    return [found, *left_out]


def encode_dictionary(
    text: Text, tokenizer: Tokenizer, vocabulary: Vocabulary, of_tokens: bool = False
) -> EncodedDictionary:
    """Encode each word of a dictionary as it is encoded within a text.

    of_tokens: the entries are tokens of the vocabulary as ``dict.txt`` has them, not words. Left out are lines that are
    no entry, entries with ``<unk>`` or without any token, entries with the same tokens on both sides, and repetitions.
    Raises FocusError if no pair is left.
    """
    encode = _as_tokens if of_tokens else _as_words
    seen: dict[TokenPair, None] = {}
    count, left_out = 0, Counter[str]()
    first: dict[str, list[str]] = defaultdict(list)
    for batch in batches(entries(text.files), lambda line: sum(map(len, line[1] or ()))):
        usable = [entry for _, entry in batch if entry]
        sides = iter(encode([word for entry in usable for word in entry], tokenizer, vocabulary))
        for place, entry in batch:
            count += 1
            pair = TokenPair(next(sides), next(sides)) if entry else None
            if fault := _fault(pair, seen):
                left_out[fault] += 1
                if left_out[fault] <= _SHOWN:
                    first[fault].append(place)
            elif pair:
                seen[pair] = None
    counted = {name: (left_out[name], tuple(first[name])) for name in _REASONS if left_out[name]}
    encoded = EncodedDictionary(tuple(seen), count, counted)
    if not seen:
        raise FocusError(f"{text}: no pair can be used. {' '.join(dictionary_sentences(encoded.counts())[1:])}".strip())
    return encoded


def _fault(pair: TokenPair | None, seen: Iterable[TokenPair]) -> str | None:
    if pair is None:
        return "sides"
    if not pair.source or not pair.target:
        return "unknown"
    if pair.source == pair.target:
        return "equal"
    return "repeated" if pair in seen else None


def _as_words(words: list[str], tokenizer: Tokenizer, vocabulary: Vocabulary) -> list[tuple[str, ...]]:
    """The tokens of each word, none if one of them is special."""
    ids, special = piece_ids(tokenizer, vocabulary), vocabulary.special
    before = before_words(lambda text: [*tokenizer.ids([text])[0]])
    cut = [ids[np.array(pieces, dtype=np.int64)] for pieces in tokenizer.ids([before + word for word in words])]
    return [() if special[found].any() else tuple(vocabulary.tokens[i] for i in found) for found in cut]


def _as_tokens(words: list[str], _: Tokenizer, vocabulary: Vocabulary) -> list[tuple[str, ...]]:
    ids, special = vocabulary.ids, vocabulary.special
    return [(word,) if word in ids and not special[ids[word]] else () for word in words]


def write_translations(path: Path, pairs: Iterable[TokenPair]) -> None:
    """Write a pair on each line: the tokens of both words, separated by spaces, with a tab between the words."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{' '.join(pair.source)}\t{' '.join(pair.target)}\n" for pair in pairs)


def read_translations(data: Path) -> list[TokenPair]:
    """The pairs in a directory. Raises FocusError if it has none."""
    path = data / PAIRS
    if not path.is_file():
        raise FocusError(f"{data}: holds no dictionary; give one to focus prepare with --dictionary.")
    sides = (line.split("\t") for line in read_lines(path))
    return [TokenPair(tuple(source.split(" ")), tuple(target.split(" "))) for source, target in sides]


def chosen_pairs(pairs: Sequence[TokenPair], share: float, single: bool, seed: int) -> list[TokenPair]:
    """A random ``share`` of the pairs, or of those with one token on each side if ``single``; in their order.

    With one seed, the pairs of a smaller share are among those of a larger one. Raises FocusError if none is left.
    """
    usable = [pair for pair in pairs if pair.single or not single]
    drawn = np.random.RandomState(seed).permutation(len(usable))[: round(share * len(usable))]
    if not len(drawn):
        of = f"{len(usable):,} with one token on each side" if single else f"{len(usable):,}"
        raise FocusError(f"The dictionary has {len(pairs):,} pairs, {of}, and a share of {share:g} of them is none.")
    return [usable[i] for i in sorted(drawn)]


def pair_ids(pairs: Iterable[TokenPair], ids: dict[str, int], origin: object) -> list[tuple[list[int], list[int]]]:
    """The ids of the tokens of each pair. Raises FocusError, naming ``origin``, for a token that is not in ``ids``."""
    try:
        return [([ids[token] for token in pair.source], [ids[token] for token in pair.target]) for pair in pairs]
    except KeyError as error:
        raise FocusError(f"{origin}: has the token {error.args[0]!r}, which is not in dict.txt beside it.") from error
