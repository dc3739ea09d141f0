"""Vectors of the target's tokens from counts of their immediate neighbours in text.

The method is that of Levy, Goldberg & Dagan, "Improving Distributional Similarity with Lessons Learned from Word
Embeddings" (TACL 2015): the matrix of positive pointwise mutual information of tokens and their neighbours is
factorized. A neighbour is one token away, and left and right neighbours are counted separately. Of the variants that
were tried, an encoder initialized with this one has the lowest loss, or is within 0.03 nats of the lowest
(docs/results.md). The method takes seconds where fastText takes minutes.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from scipy.sparse import csr_matrix, diags, hstack

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress
from focus_plugin.progress import Phase
from focus_plugin.vocabulary.encoding import batches
from focus_plugin.vocabulary.tokenizers import Tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import BEGIN, END, Vocabulary

COUNTED_AT_ONCE = 1 << 22  # tokens
SMOOTHING = 0.75  # exponent of the frequency of contexts (Levy et al., section 3.2)
OVERSAMPLING, ITERATIONS = 20, 2
PRIOR = 3  # weight of the n-grams' vector; the weight of the token's own vector is its number of occurrences
SHORTEST, LONGEST = 3, 6  # characters in an n-gram, as in fastText


def count_neighbors(lines: Iterable[str], tokenizer: Tokenizer, target: Vocabulary) -> csr_matrix:
    """How often token i is followed by token j; shape (target, target), int64.

    ``<s>`` is counted before the first token of a line and ``</s>`` after the last one. The memory needed depends on
    the number of different pairs, not on the length of the text.
    """
    size = len(target)
    counts = csr_matrix((size, size), dtype=np.int64)
    for ids in _joined(lines, tokenizer, target):
        ones = np.ones(len(ids) - 1, dtype=np.int64)
        counts += csr_matrix((ones, (ids[:-1], ids[1:])), (size, size))
    within_lines = diags(
        np.arange(size) != target.ids[END], dtype=np.int64
    )  # the <s> of the next line does not follow </s>
    return csr_matrix(within_lines @ counts)


def neighbor_vectors(job: VectorTraining, phase: Phase) -> TokenVectors:
    """Vectors from the neighbours of the target's tokens in the text.

    The vector of a token is a weighted mean of its own vector and that of its character n-grams, and the own vector has
    less weight if the token is rare. A token that does not occur has the vector of its n-grams, or none. Tokens that
    occur less often than the minimum count are marked as rare. Raises FocusError if the text is empty or all are rare.
    """
    with phase("Counting neighbouring tokens", job.corpus.bytes) as progress:
        followers = count_neighbors(job.lines(progress), job.tokenizer, job.target)
    if not followers.nnz:
        raise FocusError(job.no_text())
    with phase("Factorizing the counts", ITERATIONS + 1) as progress:
        vectors, uses = factorized(followers, job.target, job.options.dimension, job.seed, progress)
    if not (uses >= job.options.minimum_count).any():
        raise FocusError(job.no_frequent_token())
    return TokenVectors(vectors, (uses < job.options.minimum_count) & vectors.any(axis=1))


def factorized(
    followers: csr_matrix, target: Vocabulary, dimension: int, seed: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors, shape (target, at most dimension), float32, and how often each token occurs, shape (target,).

    ``followers``: the result of ``count_neighbors``. The number of occurrences of special tokens is 0.
    """
    text = diags(~target.special, dtype=np.int64)
    information = _mutual_information(csr_matrix(hstack([text @ followers, text @ followers.T])))
    uses = np.asarray(followers.sum(axis=1)).ravel() * ~target.special
    vectors = _principal(information, dimension, seed, progress)
    return _smoothed(vectors, uses, target), uses


def _joined(lines: Iterable[str], tokenizer: Tokenizer, target: Vocabulary) -> Iterator[np.ndarray]:
    """Arrays of about COUNTED_AT_ONCE token ids each, int32, with ``<s>`` before and ``</s>`` after every line."""
    table = np.append(piece_ids(tokenizer, target), [target.ids[BEGIN], target.ids[END]]).astype(np.int32)
    begin, end = len(table) - 2, len(table) - 1
    parts: list[np.ndarray] = []
    for batch in batches(lines):
        framed = ((begin, *ids, end) for ids in tokenizer.ids(batch) if len(ids))
        parts.append(table[np.fromiter(chain.from_iterable(framed), dtype=np.int64)])
        if sum(map(len, parts)) >= COUNTED_AT_ONCE:
            yield np.concatenate(parts)
            parts = []
    if any(map(len, parts)):
        yield np.concatenate(parts)


def _mutual_information(counts: csr_matrix) -> csr_matrix:
    """The positive pointwise mutual information of rows and columns, float32; column frequencies are smoothed."""
    found = counts.tocoo()
    rows = np.asarray(counts.sum(axis=1)).ravel()
    columns = np.asarray(counts.sum(axis=0)).ravel() ** SMOOTHING
    expected = rows[found.row] * (columns / columns.sum())[found.col]
    values = np.log(found.data / expected)
    positive = values > 0
    kept = (values[positive].astype(np.float32), (found.row[positive], found.col[positive]))
    return csr_matrix(kept, counts.shape)


def _principal(matrix: csr_matrix, dimension: int, seed: int, progress: Progress) -> np.ndarray:
    """The rows of ``matrix`` projected on its first right singular vectors; (rows, at most dimension), float32.

    Randomized subspace iteration (Halko, Martinsson & Tropp, SIAM Review 2011, algorithms 4.4 and 5.1).
    """
    width = min(dimension + OVERSAMPLING, *matrix.shape)
    start = np.random.default_rng(seed).standard_normal((matrix.shape[1], width), dtype=np.float32)
    basis = np.linalg.qr(matrix @ start)[0]
    for _ in range(ITERATIONS):
        progress(1)
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    progress(1)
    vectors: np.ndarray = basis @ _left_times_values((matrix.T @ basis).T)[:, :dimension]
    return vectors


def _left_times_values(wide: np.ndarray) -> np.ndarray:
    """The left singular vectors of a wide matrix times their singular values, the largest first."""
    squares, vectors = np.linalg.eigh(wide @ wide.T)
    product: np.ndarray = vectors[:, ::-1] * np.sqrt(np.maximum(squares[::-1], 0))
    return product


def _smoothed(vectors: np.ndarray, uses: np.ndarray, target: Vocabulary) -> np.ndarray:
    """The weighted mean of each token's own vector and the vector of its n-grams; float32.

    The weights are the number of the token's occurrences, and PRIOR. The vector of an n-gram is the mean of the vectors
    of the tokens that contain it, weighted by the logarithm of their occurrences.
    """
    ngrams = _ngrams(target)
    of_ngrams = _means(csr_matrix(ngrams.T @ diags(np.log1p(uses))), vectors)
    prior = _means(ngrams, of_ngrams)
    smoothed: np.ndarray = (uses[:, None] * vectors + PRIOR * prior) / (uses[:, None] + PRIOR)
    return smoothed.astype(np.float32)


def _means(weights: csr_matrix, vectors: np.ndarray) -> np.ndarray:
    """The weighted mean of ``vectors`` for each row of ``weights``; zeros for an empty row."""
    sums = np.asarray(weights.sum(axis=1))
    means: np.ndarray = (weights @ vectors) / np.where(sums > 0, sums, 1)
    return means


def _ngrams(target: Vocabulary) -> csr_matrix:
    """Whether token i contains n-gram j, 0 or 1; shape (target, n-grams). Its ends are marked as in fastText."""
    columns: dict[str, int] = {}
    offsets, found = [0], []
    for token, special in zip(target.tokens, target.special, strict=True):
        marked = "" if special else f"<{token}>"
        parts = {
            marked[start : start + length]
            for length in range(SHORTEST, min(LONGEST, len(marked) - 1) + 1)
            for start in range(len(marked) - length + 1)
        }
        found += sorted(columns.setdefault(part, len(columns)) for part in sorted(parts))
        offsets.append(len(found))
    return csr_matrix((np.ones(len(found), np.float32), found, offsets), (len(target), len(columns)))
