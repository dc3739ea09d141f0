"""Texts that stand in training and in validation or test are found, counted, and told where a user looks."""

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoked import refuse, run

from focus_plugin.leakage import SHOWN, leakage, lines_of
from focus_plugin.text import Text

TEXTS = st.lists(st.text(alphabet="ab \t", max_size=3))


def numbered(texts: list[str]) -> Iterator[tuple[str, str]]:
    return ((f"line {number}", text) for number, text in enumerate(texts, 1))


@given(TEXTS, TEXTS, TEXTS)
def test_what_is_shared_is_counted(train: list[str], valid: list[str], test: list[str]) -> None:
    found = leakage(lambda: numbered(train), {"valid": lambda: numbered(valid), "test": lambda: numbered(test)})
    words = [text.split() for text in train]
    for name, texts in (("valid", valid), ("test", test)):
        there = [i for i, text in enumerate(texts, 1) if text.split() in words and text.split()]
        assert found[name].texts == sum(bool(text.split()) for text in texts)
        assert found[name].shared == len(there)
        places = [(f"line {i}", f"line {words.index(texts[i - 1].split()) + 1}") for i in there[:SHOWN]]
        assert list(found[name].places) == places


def test_memory_does_not_grow_with_the_training_text(tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(b"".join(b"%d some words\n" % i for i in range(200_000)))
    (tmp_path / "valid").write_text("199999 some words\nanother\n")
    train, valid = lines_of(Text.of(tmp_path / "train")), lines_of(Text.of(tmp_path / "valid"))
    tracemalloc.start()
    found = leakage(train, {"valid": valid})["valid"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.places == (("line 1", "line 200000"),)
    assert peak < 2 << 20


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Line 3 of the validation text is line 2 of the first training file; its line 5 is in the second, compressed."""
    (tmp_path / "a.txt").write_text("one line\nanother line\n\n")
    (tmp_path / "b.txt").write_bytes(gzip.compress(b"more lines\nthe last line\n"))
    (tmp_path / "valid.txt").write_text("good\n\n  another\tline \nbetter\nthe last line\n")
    (tmp_path / "test.txt").write_text("good\n")
    return tmp_path


def test_files_are_compared_before_anything_is_made_of_them(files: Path) -> None:
    told = run(
        "focus", "inspect", "--train", "[ab].txt", "--valid", "valid.txt", "--test", "test.txt", cwd=files
    ).stdout
    assert told == (
        "valid: 2 of 4 texts are also in train (50.0%): line 3 equals a.txt, line 2 of train; "
        "line 5 equals b.txt, line 2 of train.\n"
        "test: none of its 1 texts is in train.\n"
    )


def test_tables_are_compared_by_a_column(files: Path) -> None:
    (files / "train.tsv").write_text("label\ttext\nx\tba che\ny\tdi fo\n")
    (files / "test.tsv").write_text("text\tlabel\ndi fo\tx\n")
    base = ("focus", "inspect", "--train", files / "train.tsv", "--test", files / "test.tsv")
    assert (
        "test: 1 of 1 texts are also in train (100.0%): line 2 equals line 3 of train."
        in run(*base, "--text-column", "text").stdout
    )
    assert "test: none" in run(*base).stdout
    refuse(*base, "--text-column", "words", says="test.tsv, line 1: the header has no column 'words'")


@pytest.mark.parametrize("arguments", [(), (".", "--train", "a.txt"), ("--train", "a.txt"), (".", "--valid", "a.txt")])
def test_what_is_compared_has_to_be_given(files: Path, arguments: tuple[str, ...]) -> None:
    done = run("focus", "inspect", *arguments, cwd=files, check=False)
    assert done.returncode == 2
    assert "Error: " in done.stderr


def test_prepared_text_is_warned_of(files: Path, vocabulary: Path) -> None:
    text = "".join(f"{word} ba che\n" for word in ("one", "two", "three"))
    (files / "train.txt").write_text(text)
    (files / "valid.txt").write_text("other\ntwo ba che\n")
    (files / "test.txt").write_text("other\n")
    made = run(
        *("focus", "prepare", "--vocab", vocabulary, "--train", files / "train.txt"),
        *("--valid", files / "valid.txt", "--test", files / "test.txt", "--output", files / "data"),
    ).stdout
    warning = "Warning: valid: 1 of 2 texts are also in train (50.0%): line 2 equals line 2 of train."
    assert made.splitlines()[-1] == warning
    inspected = run("focus", "inspect", files / "data").stdout
    assert inspected.splitlines()[-1].strip() == warning
    assert inspected.count("also_in_train") == 0
    assert json.loads((files / "data" / "focus.json").read_text())["counts"]["also_in_train"]["test"]["shared"] == 0
