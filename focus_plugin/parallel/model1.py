"""IBM model 1, the word alignment of trans-tokenizers, with NumPy and without chance.

Brown, Della Pietra, Della Pietra & Mercer, Computational Linguistics 1993, section 4.1.1. trans-tokenizers runs
fast_align with options under which it is this model: a word is the translation of each word of the other line, or of a
word that stands for nothing, with the same probability before the words themselves are considered.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from focus_plugin.parallel.counts import TranslationCounts
from focus_plugin.parallel.words import Words

COUNTED_ITERATIONS = 6  # fast_align -I 7 counts in all iterations but the last, which only aligns
BEAM = 4  # pairs whose probability is below the largest one to this power are left out, as fast_align does
_CHUNK = 1 << 22  # pairs of words in the same lines that are processed at once


@dataclass(frozen=True)
class _Chunk:
    """The pairs of words in some lines.

    keys: (k,), the different pairs, ascending; later their places in the table of all pairs. inverse: for each pair its
    index in ``keys``. sizes: for each word of the target, how many pairs it has, which follow each other.
    """

    keys: np.ndarray
    inverse: np.ndarray
    sizes: np.ndarray


def align_by_model1(source: Words, target: Words) -> TranslationCounts:
    """The expected counts of all pairs of words that stand in lines which translate each other.

    ``source``, ``target``: the same number of lines, none without a word. After COUNTED_ITERATIONS steps of expectation
    maximization, from equal probabilities. In memory are four bytes for each pair of words in the same lines, and 24
    for each different one.
    """
    chunks = list(_chunks(source, target))
    keys = np.unique(np.concatenate([chunk.keys for chunk in chunks]))
    chunks = [_Chunk(np.searchsorted(keys, chunk.keys), chunk.inverse, chunk.sizes) for chunk in chunks]
    left, right = np.divmod(keys, len(target.known))  # word 0 of the source stands for nothing
    rows = np.flatnonzero(np.diff(left, prepend=-1))
    row_of = np.repeat(np.arange(len(rows)), np.diff(rows, append=len(left)))
    probabilities = np.ones(len(keys))
    for _ in range(COUNTED_ITERATIONS):
        counts = _expected(chunks, probabilities)
        probabilities = counts / np.add.reduceat(counts, rows)[row_of]
    with np.errstate(divide="ignore"):
        likely = np.log(probabilities) >= BEAM * np.log(np.maximum.reduceat(probabilities, rows))[row_of]
    kept = likely & (left > 0)
    return TranslationCounts(source.known, target.known, left[kept] - 1, right[kept], counts[kept])


def _expected(chunks: list[_Chunk], probabilities: np.ndarray) -> np.ndarray:
    counts = np.zeros_like(probabilities)
    for chunk in chunks:
        shares = probabilities[chunk.keys][chunk.inverse]
        totals = np.add.reduceat(shares, np.cumsum(chunk.sizes) - chunk.sizes)
        shares /= np.repeat(totals, chunk.sizes)
        counts[chunk.keys] += np.bincount(chunk.inverse, shares, len(chunk.keys))
    return counts


def _chunks(source: Words, target: Words) -> Iterator[_Chunk]:
    pairs = np.cumsum((source.lengths + 1) * target.lengths)
    first = 0
    while first < len(pairs):
        done = pairs[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(pairs, done + _CHUNK, side="right")))
        chosen = np.zeros(len(pairs), dtype=bool)
        chosen[first:last] = True
        yield _chunk(source.of_lines(chosen), target.of_lines(chosen))
        first = last


def _chunk(source: Words, target: Words) -> _Chunk:
    """Each word of the target with nothing, and then with each word of the line that it is in."""
    starts = np.cumsum(source.lengths) - source.lengths
    with_nothing = np.insert(source.numbers.astype(np.int64) + 1, starts, 0)
    lengths = source.lengths + 1
    line = np.repeat(np.arange(len(target.lengths)), target.lengths)
    sizes = lengths[line]
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    left = with_nothing[np.repeat((np.cumsum(lengths) - lengths)[line], sizes) + place]
    keys, inverse = np.unique(left * len(target.known) + np.repeat(target.numbers, sizes), return_inverse=True)
    return _Chunk(keys, inverse.astype(np.int32), sizes)
