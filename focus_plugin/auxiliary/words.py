"""Makes vectors of the target's tokens from vectors of whole words, such as those of a published fastText model."""

from collections.abc import Container
from pathlib import Path

import numpy as np

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.fasttext_files import TEXT_SUFFIXES, load_fasttext, read_text
from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file
from focus_plugin.vocabulary.forms import token_text
from focus_plugin.vocabulary.vocabulary import Vocabulary


def load_word_vectors(path: str | Path, target: Vocabulary) -> TokenVectors:
    """Vectors of ``target``'s tokens, made from word vectors. No token is marked as rare.

    A token gets the vector of its text without the word-start mark, as in the authors' package (and in WECHSEL,
    Minixhofer et al., NAACL 2022). A fastText model (``.bin``) computes a vector for any text from its n-grams; in the
    text format of fastText and word2vec (TEXT_SUFFIXES) the text must be one of the words. Incomplete bytes and white
    space get no vector. Special tokens are treated as text, as in the authors' package. Raises FocusError for a damaged
    file, NaN or infinity, vectors of tokens instead of words, and a file without a vector for any token.
    """
    path = existing_file(path)
    texts = [token_text(form) for form in target.forms]
    if path.suffix == ".bin":
        matrix = _of_model(path, target, texts)
    elif path.name.endswith(TEXT_SUFFIXES):
        matrix = _of_text(path, target, texts)
    else:
        raise FocusError(f"{path}: vectors of words are read from .bin, {', '.join(TEXT_SUFFIXES)} files.")
    if not np.isfinite(matrix).all():
        raise FocusError(f"{path}: holds NaN or infinity; it is damaged.")
    if not matrix[~target.special].any():
        raise FocusError(f"{path}: has no vector for any token of the target vocabulary; is it of another language?")
    return TokenVectors.of(matrix)


def _of_model(path: Path, target: Vocabulary, texts: list[str]) -> np.ndarray:
    model = load_fasttext(path)
    _require_words(path, target, texts, {word for word in (*target.tokens, *texts) if model.get_word_id(word) >= 0})
    matrix = np.zeros((len(target), model.get_dimension()), dtype=np.float32)
    for row, text in enumerate(texts):
        if text:
            matrix[row] = model.get_word_vector(text)
    return matrix


def _of_text(path: Path, target: Vocabulary, texts: list[str]) -> np.ndarray:
    found = read_text(path, {*target.tokens, *texts} - {""})
    _require_words(path, target, texts, set(found.words))
    matrix = np.zeros((len(target), found.vectors.shape[1]), dtype=np.float32)
    places = {word: place for place, word in enumerate(found.words)}
    for row, text in enumerate(texts):
        if text in places:
            matrix[row] = found.vectors[places[text]]
    return matrix


def _require_words(path: Path, target: Vocabulary, texts: list[str], known: Container[str]) -> None:
    """Raise FocusError if the file has vectors of tokens: it then has more words with word-start marks than without."""
    marked = [(token, text) for token, text in zip(target.tokens, texts, strict=True) if text not in ("", token)]
    if sum(token in known for token, _ in marked) > sum(text in known for _, text in marked):
        raise FocusError(f"{path}: holds vectors of tokens, not of words; give it to --auxiliary.")
