"""The words of a dictionary, as a method of the conversion gets them."""

import gzip
from pathlib import Path

import pytest

from focus_plugin.bilingual.words import read_word_pairs
from focus_plugin.errors import FocusError
from focus_plugin.text import Text


def written(tmp_path: Path, content: bytes) -> Path:
    (path := tmp_path / "pairs.txt").write_bytes(content)
    return path


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_pairs_are_kept_as_they_are_and_the_rest_is_told(tmp_path, compress):
    lines = ["\ufeffdie\tfa", "", "paternal uncle\tami", "arch tao", "die\tfa", "alone", "a\tb\tc", "\tb", "die\tfa"]
    path = written(tmp_path, compress("\r\n".join(lines).encode()))
    found = read_word_pairs(Text.of(path))
    assert found.pairs == (("die", "fa"), ("paternal uncle", "ami"), ("arch", "tao"), ("die", "fa"), ("die", "fa"))
    assert str(found) == (
        f"5 pairs of words, 2 of which repeat earlier ones; 3 lines were left out, the first being {path}, line 6"
    )
    assert str(read_word_pairs(Text.of(written(tmp_path, b"a b\nc\td\n")))) == "2 pairs of words"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"pairs.txt: has no pair of words; expected a word, a tab"),
        (b"\n \n", r"pairs.txt: has no pair of words"),
        (b"three words here\n", r"pairs.txt: has no pair of words"),
        (b"a\tb\n\xff\tb\n", r"pairs.txt, line 2: not valid UTF-8"),
    ],
)
def test_a_file_without_pairs_is_refused(tmp_path, content, says):
    with pytest.raises(FocusError, match=says):
        read_word_pairs(Text.of(written(tmp_path, content)))
