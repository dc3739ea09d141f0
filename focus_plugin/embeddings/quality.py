"""How good embeddings are: retrieval of the other text of a pair, and correlation with scores."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import pearsonr, spearmanr

_ROWS = 1024  # of the matrix of cosines at once


def retrieval_accuracy(first: np.ndarray, second: np.ndarray, texts: Sequence[tuple[str, str]]) -> Mapping[str, float]:
    """How often the other text of a pair has the highest cosine of all, from the first to the second texts and back.

    ``first``, ``second``: (pairs, width). ``texts``: of the pairs. If several pairs have the same text, each of them is
    right. ``retrieval_accuracy`` is the mean of both ways.
    """
    there = _accuracy(first, second, [text for _, text in texts])
    back = _accuracy(second, first, [text for text, _ in texts])
    return {"retrieval_accuracy": (there + back) / 2, "first_to_second": there, "second_to_first": back}


def mean_cosine_of_rows(one: np.ndarray, other: np.ndarray) -> float:
    """The mean cosine between rows of two matrices (texts, width)."""
    return float(cosines_of_rows(one, other).mean())


def cosines_of_rows(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The cosine between the same rows of two matrices (texts, width)."""
    return np.asarray((_normalized(one) * _normalized(other)).sum(1))


def nearest(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """For each row of a matrix (texts, width), the number of the row of another one with the highest cosine."""
    one, other = _normalized(queries), _normalized(candidates)
    blocks = [(one[start : start + _ROWS] @ other.T).argmax(1) for start in range(0, len(one), _ROWS)]
    return np.concatenate(blocks)


def correlations(first: np.ndarray, second: np.ndarray, scores: Sequence[float]) -> Mapping[str, float]:
    """Spearman's and Pearson's correlations of the cosines of pairs with their scores.

    ``first``, ``second``: (pairs, width). A correlation is not defined, and here zero, if all scores or all cosines are
    equal.
    """
    cosines = cosines_of_rows(first, second)
    defined = len(set(scores)) > 1 and len(np.unique(cosines)) > 1
    return {
        name: float(correlation(scores, cosines)[0]) if defined else 0.0
        for name, correlation in (("spearman", spearmanr), ("pearson", pearsonr))
    }


def _accuracy(queries: np.ndarray, candidates: np.ndarray, texts: Sequence[str]) -> float:
    _, numbers = np.unique(np.array(texts, object), return_inverse=True)
    return float((numbers[nearest(queries, candidates)] == numbers).mean())


def _normalized(vectors: np.ndarray) -> np.ndarray:
    """As float64 of length 1; zeros remain zeros."""
    vectors = vectors.astype(np.float64)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
