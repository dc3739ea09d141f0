"""The offsets of pieces: they tile the text, hold the text of the piece, and go with the same ids."""

import numpy as np
import pytest
from sentencepiece import SentencePieceProcessor
from tokenizer_kinds import byte_fallback, byte_level, unigram, wordpiece
from tokenizers import Tokenizer as Library

from focus_plugin.vocabulary.forms import WORD_START
from focus_plugin.vocabulary.tokenizers import byte_level_tokenizer, hugging_face_tokenizer, sentencepiece_tokenizer

LINES = ["Mwalimu  anasoma kitabu.", "", "  ﬁ ½ é 東京 😀x\u00a0y", "a"]
KINDS = {"unigram": unigram, "byte_level": byte_level, "wordpiece": wordpiece, "byte_fallback": byte_fallback}


def test_sentencepiece_offsets_hold_the_text_of_each_piece(vocabulary):
    path = vocabulary / "sentencepiece.bpe.model"
    tokenizer, library = sentencepiece_tokenizer(path), SentencePieceProcessor(model_file=str(path))
    plain = "Baba chali, bofa."
    for line, found in zip([*LINES, plain], tokenizer.located([*LINES, plain]), strict=True):
        assert found.ids.tolist() == library.encode(line)
        assert (np.diff(found.starts) >= 0).all()
        assert (np.diff(found.ends) >= 0).all()
    for i, start, end in zip(found.ids, found.starts, found.ends, strict=True):
        if i != library.unk_id():
            assert plain[start:end].strip() == library.id_to_piece(int(i)).replace(WORD_START, "")


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
