"""focus vocab --sizes: what it counts is what the vocabularies hold, and what it recommends has its reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoked import refuse, run

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.jobs.vocabulary import compare_vocabularies, make_vocabulary, shape_of
from focus_plugin.text import Text
from focus_plugin.vocabulary.sizes import RARE, SizeFigures, parse_sizes, recommend


def figures(*sizes):
    """Of (size, tokens, rare)."""
    return [SizeFigures(size=size, tokens=tokens, words=1000, rare=rare) for size, tokens, rare in sizes]


def test_the_figures_are_those_of_the_vocabularies(target_text, tmp_path):
    text = Text.of(target_text)
    found = compare_vocabularies(text, (300, 500))
    for entry in found.figures:
        manifest = make_vocabulary(text, entry.size, tmp_path / str(entry.size))
        assert entry.tokens_per_word == manifest.counts["tokens_per_word"]
        lines = (tmp_path / str(entry.size) / "dict.txt").read_text().splitlines()
        assert entry.rare == sum(int(line.rpartition(" ")[2]) < RARE for line in lines)
    assert found.figures[0].tokens > found.figures[1].tokens


def test_the_model_is_as_large_as_its_tensors(release, hugging_face):
    for source in (release, hugging_face):
        checkpoint = read_checkpoint(source)
        tensors = {id(tensor): tensor.numel() for tensor in checkpoint.tensors.values()}
        tokens = len(checkpoint.vocabulary)
        assert shape_of(source).model_mb(tokens - 2) == pytest.approx(4e-6 * sum(tensors.values()))
        assert shape_of(source).embedding_mb(tokens - 2) == pytest.approx(4e-6 * tokens * checkpoint.config.width)


@pytest.mark.parametrize(
    ("given", "best", "reason"),
    [
        (figures((1000, 2000, 0), (2000, 1800, 100), (4000, 1700, 900)), 4000, "A larger size may be even better"),
        (figures((1000, 2000, 0), (2000, 1800, 100), (4000, 1700, 1200)), 2000, "1,200 of its pieces occur fewer than"),
        (figures((1000, 2000, 0), (2000, 1950, 0), (4000, 1000, 0)), 1000, "2,000 would save 2.5 % of the tokens only"),
        (figures((1000, 2000, 0), (1100, 1990, 0)), 1100, "A larger size may be even better"),
        (figures((1000, 2000, 900)), 1000, "the text is too small for the other sizes"),
    ],
)
def test_a_larger_size_has_to_save_tokens_and_to_be_learnable(given, best, reason):
    found, why = recommend(given)
    assert found == best
    assert reason in why


@given(st.lists(st.tuples(st.integers(4, 10**6), st.integers(1, 10**6), st.integers(0, 10**6)), min_size=1))
def test_what_is_recommended_is_one_of_the_sizes_and_decided_by_the_step_to_the_next(entries):
    entries = figures(*sorted({size: (size, *rest) for size, *rest in entries}.values()))
    best, _ = recommend(entries)
    place = [entry.size for entry in entries].index(best)
    assert recommend(entries[: place + 1])[0] == best, "smaller sizes alone lead there"
    if place + 1 < len(entries):
        assert recommend(entries[place : place + 2])[0] == best, "the next size is not worth it"


def test_sizes_that_the_text_cannot_fill_are_told(target_text, tmp_path):
    text = Text.of(target_text)
    found = compare_vocabularies(text, (300, 1_000_000))
    assert (found.too_large, found.recommended) == ((1_000_000,), 300)
    with pytest.raises(FocusError, match="is too small for 2000000 pieces"):
        compare_vocabularies(text, (1_000_000, 2_000_000))


def test_sizes_are_parsed():
    assert parse_sizes("32000, 8000,16000,8000") == (8000, 16000, 32000)
    for wrong in ("8000", "8000,8000", "8k,16k", "1,5000", "", "8000,99999999"):
        with pytest.raises(FocusError, match=rf"--sizes {wrong}: give"):
            parse_sizes(wrong)


def test_the_command_tells_a_table_and_makes_a_directory_only_if_asked(target_text, release, tmp_path):
    base = ("vocab", "--input", target_text)
    table = run("focus", *base, "--sizes", "300,400", "--source", release, cwd=tmp_path).stdout.splitlines()
    assert not any(tmp_path.iterdir())
    done = run("focus", *base, "--sizes", "300,400", "--json", "--output", tmp_path / "best")
    found = json.loads(done.stdout)
    assert f"Recommended: --size {found['recommended']}, since {found['reason']}" == table[-1]
    for line, entry in zip(table[1:], found["figures"], strict=False):
        assert line.split()[:2] == [str(entry["size"]), f"{entry['tokens_per_word']:.3f}"]
        assert entry["embedding_mb"] == pytest.approx((entry["size"] + 2) * 768 * 4 / 1e6)
    run("focus", *base, "--size", found["recommended"], "--output", tmp_path / "alone")
    for name in ("dict.txt", "sentencepiece.bpe.model", "focus.json"):
        assert (tmp_path / "best" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_contradictions_are_refused(target_text, tmp_path):
    base = ("focus", "vocab", "--input", target_text)
    for arguments, says in (
        ((), "Give --size to train"),
        (("--size", 300, "--sizes", "300,400"), "Give --size to train"),
        (("--size", 300), "Missing option '--output'"),
        (("--size", 300, "--output", tmp_path / "o", "--json"), "--json has no effect without --sizes"),
        (("--tokenizer", "t.json", "--output", tmp_path / "o", "--seed", 3), "--seed has no effect on --tokenizer"),
    ):
        done = run(*base, *arguments, check=False)
        assert done.returncode == 2
        assert says in done.stderr
    refuse(*base, "--sizes", "300", says="--sizes 300: give at least two different sizes")
