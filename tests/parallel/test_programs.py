"""Aligners that are programs find what IBM model 1 finds; what is wrong with one is told."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from focus_plugin.errors import FocusError
from focus_plugin.parallel import programs
from focus_plugin.parallel.aligners import ALIGNERS
from focus_plugin.parallel.counts import TranslationCounts
from focus_plugin.parallel.words import Words

MISSING = pytest.mark.skipif(shutil.which("fast_align") is None, reason="fast_align is not on the PATH")


@pytest.fixture(scope="module")
def lines() -> tuple[Words, Words]:
    """Lines of 50 words, of which some are frequent, with the numbers of their translations turned round."""
    draw, shares = np.random.default_rng(1), 1 / np.arange(1, 51)
    source = [draw.choice(50, size, p=shares / shares.sum()) for size in draw.integers(2, 12, 600)]
    return tuple(
        Words(tuple((i,) for i in range(50)), np.concatenate(side).astype(np.int32), np.array([*map(len, side)]))
        for side in (source, [49 - line[::-1] for line in source])
    )


def best(found: TranslationCounts) -> dict[int, int]:
    """The most frequent translation of each word of the source."""
    order = np.argsort(found.counts, kind="stable")
    return dict(zip(found.source[order].tolist(), found.target[order].tolist(), strict=True))


@pytest.mark.parametrize("name", ["model1", "eflomal", pytest.param("fast_align", marks=MISSING)])
def test_the_most_frequent_translation_is_the_right_one(lines, name):
    found = ALIGNERS[name](*lines)
    assert np.mean([best(found).get(i) == 49 - i for i in range(50)]) > 0.9
    assert found.counts.sum() <= lines[1].lengths.sum() + 1e-6
    pairs = set(zip(found.source.tolist(), found.target.tolist(), strict=True))
    assert len(pairs) == len(found.counts)
    assert pairs <= together(*lines)


def together(source: Words, target: Words) -> set[tuple[int, int]]:
    """The pairs of words in the same lines."""
    sides = (np.split(words.numbers, np.cumsum(words.lengths)[:-1]) for words in (source, target))
    return {(i, j) for old, new in zip(*sides, strict=True) for i in old.tolist() for j in new.tolist()}


def program(directory: Path, code: str) -> None:
    path = directory / "fast_align"
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit('no memory')", "fast_align failed with exit code 1: no memory"),
        ("print('0-0')", "The aligner gave links for 1 of 600 pairs of sentences."),
    ],
)
def test_a_program_that_fails_is_told(lines, tmp_path, monkeypatch, code, says):
    program(tmp_path, code)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FocusError) as error:
        ALIGNERS["fast_align"](*lines)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("align", "says"),
    [
        (programs.align_by_eflomal, "eflomal-align: no such command; the extra 'align' installs it"),
        (programs.align_by_fast_align, "fast_align: no such command; build it from"),
    ],
)
def test_a_program_that_is_not_there_is_told(
    lines, tmp_path, monkeypatch, align: Callable[[Words, Words], TranslationCounts], says
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs.sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(FocusError) as error:
        align(*lines)
    assert says in str(error.value)
