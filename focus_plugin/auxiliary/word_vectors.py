"""Vectors of words from a file, whatever its format, and the vectors of tokens that are made from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from focus_plugin.auxiliary.fasttext_files import TEXT_SUFFIXES, load_fasttext, read_text
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, existing_file, silent
from focus_plugin.vocabulary.encoding import BATCH_LINES
from focus_plugin.vocabulary.forms import token_text
from focus_plugin.vocabulary.tokenizers import Tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import END, Vocabulary


@dataclass(frozen=True)
class WordVectors:
    """Vectors of words.

    words: all different, the most frequent first, without fastText's line end, which is no word. counts: (words,),
    float64, how often each occurs. rows: a function from numbers of words, (n,), to their vectors, (n, dimension),
    float32. of_text: a function from any text to its vector, (dimension,), by n-grams of characters; None if the file
    has no n-grams. note: a sentence about lines of the file that are left out, None if there are none.
    """

    words: Sequence[str]
    counts: np.ndarray
    dimension: int
    rows: Callable[[np.ndarray], np.ndarray]
    of_text: Callable[[str], np.ndarray] | None = None
    note: str | None = None

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: i for i, word in enumerate(self.words)}


def read_word_vectors(path: str | Path) -> WordVectors:
    """Read vectors of words: a fastText model (``.bin``), or fastText's or word2vec's text format.

    A file in the text format is named ``.vec`` or ``.txt``, with or without ``.gz``. It does not say how often words
    occur, but lists the frequent ones first, so they are counted by Zipf's law: the n-th word as 1/n. Raises FocusError
    as ``load_fasttext`` and ``read_text`` do, and for a file in another format or without words.
    """
    path = existing_file(path)
    if path.suffix == ".bin":
        return _of_model(load_fasttext(path))
    if not path.name.endswith(TEXT_SUFFIXES):
        raise FocusError(f"{path}: vectors of words are read from .bin, {', '.join(TEXT_SUFFIXES)} files.")
    found = read_text(path)
    kept = np.array([i for i, word in enumerate(found.words) if word != END], dtype=np.int64)
    if not len(kept):
        raise FocusError(f"{path}: has no words.")
    words, counts = [found.words[i] for i in kept], 1 / np.arange(1, len(kept) + 1)
    note = (
        f"{path}: left out {found.left_out:,} words that are not valid UTF-8 or occur again."
        if found.left_out
        else None
    )
    return WordVectors(words, counts, found.vectors.shape[1], lambda ids: found.vectors[kept[ids]], note=note)


def _of_model(model: Any) -> WordVectors:
    found, of_found = model.get_words(include_freq=True, on_unicode_error="replace")
    kept = [i for i, word in enumerate(found) if word != END]
    words, counts, dimension = [found[i] for i in kept], of_found[kept].astype(np.float64), model.get_dimension()

    def rows(numbers: np.ndarray) -> np.ndarray:
        vectors = [model.get_word_vector(words[i]) for i in numbers]
        return np.array(vectors, dtype=np.float32).reshape(len(vectors), dimension)

    ngrams = model.f.getArgs().maxn > 0
    return WordVectors(words, counts, dimension, rows, model.get_word_vector if ngrams else None)


def vectors_by_ngrams(vectors: WordVectors, vocabulary: Vocabulary, progress: Progress = silent) -> np.ndarray:
    """The vector of each token's text by its n-grams; (tokens, dimension), float32.

    Incomplete bytes and white space have a vector of zeros. Special tokens are treated as text, as in WECHSEL's
    package. ``progress`` is called with the number of tokens.
    """
    assert vectors.of_text is not None
    matrix = np.zeros((len(vocabulary), vectors.dimension), dtype=np.float32)
    for row, form in enumerate(vocabulary.forms):
        if text := token_text(form):
            matrix[row] = vectors.of_text(text)
        progress(1)
    return matrix


def vectors_by_words(
    vectors: WordVectors, vocabulary: Vocabulary, tokenizer: Tokenizer, progress: Progress = silent
) -> np.ndarray:
    """The mean of the words that contain each token, weighted by their counts; (tokens, dimension), float32.

    A word is cut at the beginning of a text and after a space, and a token that occurs in both counts twice. The vector
    of a token in no word is zero. This is what WECHSEL does without n-grams (Minixhofer et al., NAACL 2022).
    ``progress`` is called with the number of words.
    """
    table = piece_ids(tokenizer, vocabulary)
    sums, totals = np.zeros((len(vocabulary), vectors.dimension)), np.zeros(len(vocabulary))
    for start in range(0, len(vectors.words), BATCH_LINES):
        batch = vectors.words[start : start + BATCH_LINES]
        numbers = np.arange(start, start + len(batch))
        of_cut, ids = distinct_tokens([*tokenizer.ids([*batch]), *tokenizer.ids([f" {word}" for word in batch])], table)
        of_word = of_cut % len(batch)
        weights = vectors.counts[numbers][of_word]
        add_words(sums, ids, of_word, weights, vectors.rows(numbers))
        totals += np.bincount(ids, weights, len(totals))
        progress(len(numbers))
    return np.divide(sums, totals[:, None], out=sums, where=totals[:, None] > 0).astype(np.float32)


def any_text(vectors: np.ndarray, vocabulary: Vocabulary) -> bool:
    """Whether a token of text has a vector; ``vectors``: (tokens, dimension).

    Special tokens and white space are left out: of a word that a tokenizer cannot write, it finds just its word mark.
    """
    text = np.array([bool(token_text(form)) for form in vocabulary.forms])
    return bool(vectors[text & ~vocabulary.special].any())


def distinct_tokens(cuts: Sequence[Sequence[int]], table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different tokens of each text: the number of the text, and the id of the token; both (n,), int64.

    ``cuts``: the tokenizer's ids of each text. ``table``: the vocabulary's id of each of these.
    """
    of_cut = np.repeat(np.arange(len(cuts)), [len(cut) for cut in cuts])
    ids = table[np.fromiter(chain.from_iterable(cuts), np.int64, len(of_cut))]
    size = int(table.max(initial=0)) + 1
    return np.divmod(np.unique(of_cut * size + ids), size)


def add_words(sums: np.ndarray, ids: np.ndarray, of_word: np.ndarray, weights: np.ndarray, rows: np.ndarray) -> None:
    """Add the vectors of words, ``rows``, to those of the tokens in them, ``sums``, (tokens, dimension).

    ``ids``, ``of_word``, ``weights``: (n,), a token, the word it is in, and how much this word counts. Only the rows of
    these tokens are touched, which are few of a large vocabulary.
    """
    present, places = np.unique(ids, return_inverse=True)
    sums[present] += csr_matrix((weights, (places, of_word)), (len(present), len(rows))) @ rows
