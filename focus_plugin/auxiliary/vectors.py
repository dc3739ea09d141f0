"""Static vectors of the target's tokens, from a file: one row a token, zeros where a token has none."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, read_lines, whole_file
from focus_plugin.vocabulary.vocabulary import Vocabulary


def load_vectors(path: str | Path, target: Vocabulary) -> np.ndarray:
    """Vectors of ``target``'s tokens; shape (target, dimension), float32, rows of zeros for tokens without.

    Reads a fastText model (``.bin``), fastText's text format (``.vec``), and the compact file of this program
    (``.safetensors``). Special tokens have no vector. Raises FocusError for a damaged file, NaN or infinity, and
    for a file that knows none of the tokens, since it was made with another vocabulary.
    """
    path = existing_file(path)
    readers = {".bin": _read_model, ".vec": _read_text, ".safetensors": _read_compact}
    if path.suffix not in readers:
        raise FocusError(f"{path}: auxiliary vectors are read from {', '.join(readers)} files.")
    words, vectors = readers[path.suffix](path, target)
    if not np.isfinite(vectors).all():
        raise FocusError(f"{path}: holds NaN or infinity; train the vectors again.")
    matrix = align(words, vectors, target)
    if not matrix.any():
        raise FocusError(f"{path}: has no vector for any token of the target vocabulary; it was made with another.")
    return matrix


def align(words: list[str], vectors: np.ndarray, target: Vocabulary) -> np.ndarray:
    """Put the vectors of ``words`` in the rows of the target's tokens; special tokens get none."""
    matrix = np.zeros((len(target), vectors.shape[1]), dtype=np.float32)
    rows = np.array([target.ids.get(word, -1) for word in words], dtype=np.int64)
    matrix[rows[rows >= 0]] = vectors[rows >= 0]
    matrix[target.special] = 0
    return matrix


def save_vectors(path: str | Path, matrix: np.ndarray, target: Vocabulary) -> None:
    """Write the rows that are vectors, with their tokens, into one compact ``.safetensors`` file."""
    from safetensors.numpy import save_file

    known = np.flatnonzero(matrix.any(axis=1))
    tokens = json.dumps([target.tokens[i] for i in known], ensure_ascii=False)
    with whole_file(path) as temporary:
        save_file({"vectors": np.ascontiguousarray(matrix[known])}, temporary, {"tokens": tokens})


def _read_compact(path: Path, target: Vocabulary) -> tuple[list[str], np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            tokens, vectors = json.loads(file.metadata()["tokens"]), file.get_tensor("vectors")
            if len(tokens) != len(vectors):
                raise ValueError(f"{len(tokens)} tokens, but {len(vectors)} vectors")
            return tokens, vectors
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FocusError(f"{path}: not a file of token vectors made by this program ({error}).") from error


def _read_model(path: Path, target: Vocabulary) -> tuple[list[str], np.ndarray]:
    import fasttext

    try:
        model = fasttext.load_model(str(path))
    except (ValueError, MemoryError) as error:
        raise FocusError(f"{path}: damaged or not a fastText model ({error}).") from error
    if path.stat().st_size < (size := _model_size(model)):
        raise FocusError(f"{path}: truncated; a whole one of its kind has {size} bytes.")
    words = [word for word in model.get_words() if word in target.ids]
    return words, np.array([model.get_word_vector(word) for word in words], dtype=np.float32).reshape(len(words), -1)


def _model_size(model: Any) -> int:
    """Bytes of a fastText model file. fastText fills what a truncated one lacks with whatever is in memory."""
    words = model.get_words()
    entries = sum(len(word.encode()) + 10 for word in words)  # its end, a count and a type
    rows = 2 * len(words) + model.f.getArgs().bucket
    return 126 + entries + 4 * int(model.get_dimension()) * int(rows)


def _read_text(path: Path, target: Vocabulary) -> tuple[list[str], np.ndarray]:
    words, rows = [], []
    lines = read_lines(path)
    header = next(lines, "").split()
    if len(header) != 2 or not all(number.isdigit() for number in header):
        raise FocusError(f"{path}, line 1: expected the number of tokens and their dimension.")
    dimension = int(header[1])
    for number, line in enumerate(lines, 2):
        word, *values = line.rstrip(" ").split(" ")
        if len(values) != dimension:
            raise FocusError(f"{path}, line {number}: expected a token and {dimension} numbers.")
        if word in target.ids:
            words.append(word)
            try:
                rows.append(np.array(values, dtype=np.float32))
            except ValueError as error:
                raise FocusError(f"{path}, line {number}: expected a token and {dimension} numbers.") from error
    return words, np.array(rows, dtype=np.float32).reshape(len(words), dimension)
