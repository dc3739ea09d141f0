"""IBM model 1 against a program that does what the paper says, pair by pair."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_plugin.parallel import model1
from focus_plugin.parallel.words import Words

Lines = list[tuple[list[int], list[int]]]


def as_words(lines: list[list[int]]) -> Words:
    numbers = [word for line in lines for word in line]
    known = tuple((word,) for word in range(max(numbers) + 1))
    return Words(known, np.array(numbers, dtype=np.int32), np.array([len(line) for line in lines]))


def plainly(lines: Lines) -> dict[tuple[int, int], tuple[float, float]]:
    """The expected count of each pair of words, and how far the logarithm of its probability is above the limit.

    -1 is the word that stands for nothing.
    """
    probability: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    for _ in range(6):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        for source, target in lines:
            for new in target:
                total = sum(probability[old, new] for old in [-1, *source])
                for old in [-1, *source]:
                    counts[old, new] += probability[old, new] / total
        sums: dict[int, float] = defaultdict(float)
        for (old, _), count in counts.items():
            sums[old] += count
        probability = {pair: count / sums[pair[0]] for pair, count in counts.items()}
    best = {old: max(p for (other, _), p in probability.items() if other == old) for old, _ in counts}
    above = {pair: np.log(probability[pair]) - 4 * np.log(best[pair[0]]) for pair in counts}
    return {pair: (count, above[pair]) for pair, count in counts.items() if pair[0] >= 0}


def ours(lines: Lines) -> dict[tuple[int, int], float]:
    found = model1.align_by_model1(as_words([pair[0] for pair in lines]), as_words([pair[1] for pair in lines]))
    return dict(zip(zip(found.source.tolist(), found.target.tolist(), strict=True), found.counts, strict=True))


words = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@settings(deadline=None)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=12), st.sampled_from([1, 20, 1 << 22]))
def test_counts_are_those_of_the_paper_in_chunks_of_any_size(lines, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model1, "_CHUNK", chunk)
        found, want = ours(lines), plainly(lines)
    for pair, (count, above) in want.items():
        if abs(above) > 1e-9:  # else rounding decides
            assert (pair in found) == (above > 0)
        if pair in found:
            np.testing.assert_allclose(found[pair], count, rtol=1e-9)
    assert found.keys() <= want.keys()


def test_words_that_always_stand_together_are_found():
    draw = np.random.default_rng(1)
    lines = [(line.tolist(), (9 - line[::-1]).tolist()) for line in (draw.permutation(10)[:4] for _ in range(200))]
    counts = ours(lines)
    for old in range(10):
        assert max(range(10), key=lambda new: counts.get((old, new), 0)) == 9 - old


def test_a_word_that_is_everywhere_translates_nothing_in_particular():
    lines = [([i % 7], [i % 7, 7]) for i in range(140)]
    counts = ours(lines)
    for old in range(7):
        assert counts[old, old] > 3 * counts.get((old, 7), 0)
