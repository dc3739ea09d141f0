"""Vectors by name, put in the order of the target's tokens, if they were made with its tokenizer."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.vocabulary import Vocabulary

LARGEST_UNKNOWN_SHARE = 0.01
EXAMPLES = 5


@dataclass(frozen=True)
class NamedVectors:
    """What a file of vectors holds. vectors: shape (words, dimension), floating. others: words of the file that
    are no tokens of the target, so that their vectors were not read."""

    words: list[str]
    vectors: np.ndarray
    others: list[str]


def align(words: list[str], vectors: np.ndarray, target: Vocabulary) -> np.ndarray:
    """Put the vectors of ``words`` in the rows of the target's tokens; special tokens get none."""
    matrix = np.zeros((len(target), vectors.shape[1]), dtype=np.float32)
    rows = np.array([target.ids.get(word, -1) for word in words], dtype=np.int64)
    matrix[rows[rows >= 0]] = vectors[rows >= 0]
    matrix[target.special] = 0
    return matrix


def check_names(path: Path, found: NamedVectors, target: Vocabulary) -> None:
    """Raise FocusError for a word that has two vectors, and for words of another tokenizer than the target's.

    The right tokenizer writes what the target's alphabet can spell in the target's tokens alone; what it cannot
    spell, it passes on as it is. So only words in the target's alphabet tell. Measured on Swahili, Amharic and
    English text, none of them is unknown under the right tokenizer, whatever the text; under one of another
    language, size, algorithm or character coverage at least 2.5 % are. A smaller SentencePiece unigram vocabulary
    of the same text, a subset of the larger, cannot be told by its words.
    """
    word, count = max(Counter(found.words).items(), key=lambda item: item[1], default=("", 0))
    if count > 1:
        raise FocusError(f"{path}: the token {word!r} is there twice.")
    text = [token for token, special in zip(target.tokens, target.special, strict=True) if not special]
    alphabet = set().union(*text)
    spelled = [word for word in (*found.words, *found.others) if alphabet.issuperset(word)]
    unknown = [word for word in spelled if word not in target.ids]
    if len(unknown) > LARGEST_UNKNOWN_SHARE * len(spelled):
        examples = ", ".join(repr(word) for word in unknown[:EXAMPLES])
        raise FocusError(
            f"{path}: {len(unknown) / len(spelled):.0%} of its words in the target's alphabet are not tokens of the "
            f"target vocabulary, such as {examples}; it was made with another tokenizer. Make it again with "
            "focus auxiliary; vectors of whole words go to --word-vectors."
        )
