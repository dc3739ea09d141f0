"""Reads fastText's files: models (``.bin``) and the text format (``.vec``), which is also that of word2vec."""

import re
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from focus_plugin.auxiliary.alignment import NamedVectors
from focus_plugin.auxiliary.fasttext_layout import require_fasttext
from focus_plugin.errors import FocusError, first_line
from focus_plugin.files import decode_line
from focus_plugin.text import Text, raw_lines
from focus_plugin.vocabulary.vocabulary import Vocabulary

TEXT_SUFFIXES = (".vec", ".vec.gz", ".txt", ".txt.gz")
_MOST_UNREADABLE = 0.01  # of the words; a file with more is in another encoding


def load_fasttext(path: Path) -> Any:
    """The fastText model in ``path``. Raises FocusError if it is not one, or is truncated."""
    import fasttext

    require_fasttext(path)
    try:
        return fasttext.load_model(str(path))
    except (ValueError, MemoryError, RuntimeError) as error:
        raise FocusError(f"{path}: damaged or not a fastText model ({first_line(error)}).") from error


def read_model(path: Path, target: Vocabulary) -> NamedVectors:
    """The vectors of the target's tokens in a fastText model of tokens. Raises FocusError as ``load_fasttext`` does."""
    return model_vectors(load_fasttext(path), target)


def model_vectors(model: Any, target: Vocabulary) -> NamedVectors:
    """The vectors of the target's tokens in ``model``, a loaded fastText model of tokens.

    A token that is a word of the model has the vector of the word and its n-grams. Any other token that is not special
    is rare, and its vector is that of its n-grams.
    """
    words: list[str] = []
    others: list[str] = []
    counts: list[int] = []
    for word, count in zip(*model.get_words(include_freq=True, on_unicode_error="replace"), strict=True):
        (words if word in target.ids else others).append(word)
        if word in target.ids:
            counts.append(count)
    known = set(words)
    texts = (token for token, special in zip(target.tokens, target.special, strict=True) if not special)
    rare = [token for token in texts if token not in known]
    dimension = model.get_dimension()
    vectors, rare_vectors = (
        _matrix([model.get_word_vector(word) for word in names], dimension) for names in (words, rare)
    )
    return NamedVectors(words, vectors, others, rare, rare_vectors, np.array(counts, dtype=np.int64))


def read_text(path: Path, wanted: Container[str] | None = None, *, of_tokens: bool = False) -> NamedVectors:
    """The vectors of the ``wanted`` words, or of all, in a file in fastText's text format, compressed or not.

    Published files have some words that are not UTF-8, which no text contains, and words that occur twice, of which the
    first is taken; these lines are counted as left out. ``of_tokens``: the words are a vocabulary, which has no such
    words. Raises FocusError, with the line, for them, if the file is not in this format, and for a wanted word whose
    vector holds NaN or infinity; also for a file with fewer words than its first line says, as if truncated, and for
    one in another encoding.
    """
    (file,) = Text.of(path).files
    places: dict[str, int] = {}  # the line of each wanted word
    vectors: list[np.ndarray] = []
    others: list[str] = []
    number, unreadable, repeated = 1, 0, 0
    with file.open() as stream:
        lines = raw_lines(stream, path)
        declared, dimension = _header(decode_line(next(lines, b""), path, 1), path)
        for number, raw in enumerate(lines, 2):
            try:
                word, *values = decode_line(raw, path, number).rstrip(" ").split(" ")
            except FocusError:
                if of_tokens:
                    raise
                unreadable += 1
                continue
            if len(values) != dimension:
                raise _wrong_line(path, number, dimension, f"{len(values)} numbers")
            if wanted is not None and word not in wanted:
                others.append(word)
                continue
            try:
                with np.errstate(over="ignore"):  # infinity is refused below
                    vector = np.array(values, dtype=np.float32)
            except ValueError as error:
                raise _wrong_line(path, number, dimension, str(error)) from error
            if word not in places:
                places[word] = number
                vectors.append(vector)
            elif of_tokens:
                raise FocusError(f"{path}, line {number}: {word!r} occurs twice; line {places[word]} also has it.")
            else:
                repeated += 1
    words, matrix = list(places), _matrix(vectors, dimension)
    for i in np.flatnonzero(~np.isfinite(matrix).all(axis=1))[:1]:
        raise FocusError(f"{path}, line {places[words[i]]}: the vector of {words[i]!r} holds NaN or infinity.")
    if (found := number - 1) < declared:
        raise FocusError(
            f"{path}: its first line says {declared} words, but it has {found}; copy it again if it is truncated, or "
            "correct the number."
        )
    if unreadable > _MOST_UNREADABLE * found:
        raise FocusError(
            f"{path}: {unreadable:,} of its {found:,} words are not valid UTF-8. Convert the file to UTF-8 first, for "
            "example with iconv."
        )
    return NamedVectors(words, matrix, others, left_out=unreadable + repeated)


def _header(line: str, path: Path) -> tuple[int, int]:
    """The number of words and the dimension."""
    header = line.split()
    if len(header) != 2 or not re.fullmatch("[0-9]+ [1-9][0-9]{0,4}", " ".join(header)):
        raise FocusError(
            f"{path}, line 1: expected the number of tokens and the dimension, at most 99999; add such a line, as in "
            "'2000000 300', if the file begins with a vector."
        )
    return int(header[0]), int(header[1])


def _wrong_line(path: Path, number: int, dimension: int, found: str) -> FocusError:
    return FocusError(f"{path}, line {number}: expected a token and {dimension} numbers ({found}).")


def _matrix(vectors: list[np.ndarray], dimension: int) -> np.ndarray:
    return np.array(vectors, dtype=np.float32).reshape(len(vectors), dimension)
