"""The offsets of pieces in lines are those of Hugging Face's library."""

import pytest
from tokenizer_kinds import byte_fallback, byte_level, unigram, wordpiece
from tokenizers import Tokenizer as Library

from focus_plugin.vocabulary.tokenizers import byte_level_tokenizer, hugging_face_tokenizer

LINES = ["Mwalimu  anasoma kitabu.", "", "  ﬁ ½ é 東京 😀x\u00a0y", "a"]
KINDS = {"unigram": unigram, "byte_level": byte_level, "wordpiece": wordpiece, "byte_fallback": byte_fallback}


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_of_a_tokenizer_json_are_those_of_its_library(kind, source_text, tmp_path):
    path = tmp_path / "tokenizer.json"
    KINDS[kind]([*source_text.read_text().splitlines()[:300], *LINES], 400).save(str(path))
    library, tokenizer = Library.from_file(str(path)), hugging_face_tokenizer(path)
    for line, found in zip(LINES, tokenizer.located(LINES), strict=True):
        encoded = library.encode(line, add_special_tokens=False)
        assert found.ids.tolist() == encoded.ids == list(tokenizer.ids([line])[0])
        assert list(zip(found.starts, found.ends, strict=True)) == encoded.offsets


def test_offsets_of_byte_level_files(tmp_path):
    byte_level(LINES, 300).model.save(str(tmp_path))
    found = byte_level_tokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt").located(["ab c"])[0]
    assert (found.starts[0], found.ends[-1]) == (0, 4)
