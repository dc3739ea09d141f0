"""Parallel text as it is found: in two files or two columns, compressed or not, complete or not."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focus_plugin.errors import FocusError
from focus_plugin.parallel.text import ParallelText, read_pairs
from focus_plugin.text import Text

PAIRS = [("a house", "nyumba"), ("good morning", "habari ya asubuhi"), ("a book", "kitabu")]


def two_files(directory: Path, source: str, target: str) -> ParallelText:
    files = []
    for name, text in (("source.txt", source), ("target.txt", target)):
        (directory / name).write_bytes(text.encode())
        files.append(Text.of(directory / name))
    return ParallelText(tuple(files))


def columns(directory: Path, text: str) -> ParallelText:
    (directory / "both.tsv").write_bytes(text.encode())
    return ParallelText((Text.of(directory / "both.tsv"),))


def test_all_kinds_of_files_hold_the_same_pairs(tmp_path):
    source, target = ("".join(f"{pair[side]}\n" for pair in PAIRS) for side in (0, 1))
    both = "".join("\t".join(pair) + "\n" for pair in PAIRS)
    assert [*two_files(tmp_path, source, target).lines()] == PAIRS
    assert [*columns(tmp_path, both).lines()] == PAIRS
    for name, text in (("corpus.en.gz", source), ("corpus.sw.gz", target), ("both.tsv.gz", both)):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    moses = tuple(Text.of(tmp_path / f"corpus.{language}.gz") for language in ("en", "sw"))
    assert [*ParallelText(moses).lines()] == PAIRS
    assert [*ParallelText((Text.of(tmp_path / "both.tsv.gz"),)).lines()] == PAIRS


def test_line_ends_byte_order_marks_and_a_missing_last_newline_change_nothing(tmp_path):
    windows = two_files(
        tmp_path, "\ufeffa house\r\ngood morning\r\na book", "nyumba\r\nhabari ya asubuhi\r\nkitabu\r\n"
    )
    assert [*windows.lines()] == PAIRS
    assert [
        *columns(tmp_path, "\ufeffa house\tnyumba\r\ngood morning \t habari ya asubuhi\r\na book\tkitabu").lines()
    ] == PAIRS


def test_empty_sides_and_repeated_pairs_are_left_out_and_told_with_their_numbers(tmp_path):
    lines = ["a\tb", "a\t", "\tb", "", "a\tb", " a \t b ", "a\tc", *["x\ty"] * 8]
    text = columns(tmp_path, "".join(f"{line}\n" for line in lines))
    pairs = read_pairs(text, 0, 1)
    assert [*zip(pairs.source, pairs.target, strict=True)] == [("a", "b"), ("a", "c"), ("x", "y")]
    assert pairs.total == 15
    assert pairs.empty.tolist() == [2, 3, 4]
    assert pairs.repeated.tolist() == [5, 6, 9, 10, 11, 12, 13, 14, 15]
    assert pairs.left_out(text) == (
        f"{tmp_path / 'both.tsv'}: of 15 pairs, 3 with an empty side (lines 2, 3, 4) and 9 that repeat an earlier pair "
        "(lines 5, 6, 9, 10, 11 and 4 more) were left out."
    )


def test_nothing_is_told_if_nothing_is_left_out(tmp_path):
    text = columns(tmp_path, "a\tb\nc\td\n")
    assert read_pairs(text, 0, 1).left_out(text) is None


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("a\nb\nc\n", "x\ny\n", "source.txt has 3 lines and {0}/target.txt has 2; each line of one must be the"),
        ("", "x\ny\n", "source.txt has 0 lines and {0}/target.txt has 2"),
        ("\n\n", "x\ny\n", "target.txt: has no line with a text and its translation."),
        ("", "", "target.txt: has no line with a text and its translation."),
    ],
)
def test_two_files_that_do_not_belong_together_are_refused(tmp_path, source, target, says):
    with pytest.raises(FocusError) as error:
        read_pairs(two_files(tmp_path, source, target), 0, 1)
    assert says.format(tmp_path) in str(error.value)


@pytest.mark.parametrize(("line", "found"), [("a b", "1 column."), ("a\tb\t0.9", "3 columns."), ("\t\t", "")])
def test_a_line_without_two_columns_is_named(tmp_path, line, found):
    text = columns(tmp_path, f"a\tb\n{line}\n")
    if not line.strip():
        assert read_pairs(text, 0, 1).empty.tolist() == [2]
        return
    with pytest.raises(FocusError) as error:
        read_pairs(text, 0, 1)
    assert f"both.tsv, line 2: expected a text, a tab and its translation; found {found}" in str(error.value)


def test_bytes_that_are_no_text_and_damaged_files_are_refused(tmp_path):
    (tmp_path / "latin.tsv").write_bytes("a\tb\nfa\xe7ade\tx\n".encode("latin-1"))
    with pytest.raises(FocusError, match=r"latin.tsv, line 2: not valid UTF-8"):
        read_pairs(ParallelText((Text.of(tmp_path / "latin.tsv"),)), 0, 1)
    (tmp_path / "half.gz").write_bytes(gzip.compress(b"a\tb\n" * 1000)[:30])
    with pytest.raises(FocusError, match=r"half.gz, line 1"):
        read_pairs(ParallelText((Text.of(tmp_path / "half.gz"),)), 0, 1)
    with pytest.raises(FocusError, match="no such file"):
        Text.of(tmp_path / "absent")


def test_a_sample_has_the_order_of_the_file_and_depends_on_the_seed_alone(tmp_path):
    text = columns(tmp_path, "".join(f"s{i:03}\tt{i:03}\n" for i in range(200)))
    drawn = [read_pairs(text, 50, seed).source for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(part) == 50 and part == sorted(part) for part in drawn)
    assert read_pairs(text, 200, 1).source == read_pairs(text, 0, 1).source


word = st.text(st.characters(exclude_characters="\n\r\t\x00", exclude_categories=["Cs"]), max_size=6)


@given(st.lists(st.tuples(word, word), min_size=1, max_size=30))
def test_every_line_is_kept_or_counted(tmp_path_factory, lines):
    text = columns(tmp_path_factory.mktemp("pairs"), "".join("\t".join(line) + "\n" for line in lines))
    stripped = [(a.strip(), b.strip()) for a, b in [*text.lines()]]
    whole = [pair for pair in dict.fromkeys(stripped) if all(pair)]
    if not whole:
        with pytest.raises(FocusError):
            read_pairs(text, 0, 1)
        return
    pairs = read_pairs(text, 0, 1)
    assert [*zip(pairs.source, pairs.target, strict=True)] == whole
    assert len(whole) + len(pairs.empty) + len(pairs.repeated) == pairs.total == len(stripped)
