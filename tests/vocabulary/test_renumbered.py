"""A ``tokenizer.json`` with the ids of a release, as transformers gets it."""

import json
import random
from pathlib import Path

import pytest
from export_models import random_words
from tokenizer_kinds import KINDS, odd_lines

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.text import Text
from focus_plugin.vocabulary.huggingface import hugging_face_library
from focus_plugin.vocabulary.importing import import_vocabulary
from focus_plugin.vocabulary.vocabulary import SPECIALS

LINES = [" ".join(line.split()) for line in odd_lines(random_words(600, seed=3), random.Random(1))]
ODD = ["", " ", "e\u0301 ﬁ\u00a0漢 😀\t👩\u200d🚀", "Ünï--12,5!"]
BERT_SPECIALS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")


def _release(directory: Path, kind: str) -> Path:
    """A directory with a tokenizer of a kind and its dictionary."""
    (directory / "text.txt").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    KINDS[kind](LINES, 400).save(str(directory / "some.json"))
    (release := directory / "release").mkdir()
    import_vocabulary(Text.of(directory / "text.txt"), directory / "some.json", release)
    return release


@pytest.mark.parametrize("kind", ["byte-level", "wordpiece", "byte-fallback"])
def test_it_gives_the_ids_of_the_release_within_special_tokens(tmp_path: Path, kind: str) -> None:
    release = _release(tmp_path, kind)
    encoder = Encoder.load(release)
    library = hugging_face_library(release / "tokenizer.json", encoder.vocabulary)
    begin, _, end, *_ = SPECIALS
    one, two = encoder.vocabulary.ids[begin], encoder.vocabulary.ids[end]
    texts = [*LINES, *ODD]
    for text, ids in zip(texts, encoder(texts), strict=True):
        assert library.encode(text).ids == [one, *ids, two]
    [first, second] = encoder(["ka", "ta"])
    assert library.encode("ka", "ta").ids == [one, *first, two, two, *second, two]
    names = BERT_SPECIALS if kind == "wordpiece" else SPECIALS
    assert [library.token_to_id(name) for name in names] == [encoder.vocabulary.ids[token] for token in SPECIALS]
    assert library.get_vocab_size() == len(encoder.vocabulary)


def test_a_dictionary_of_another_tokenizer_is_told(tmp_path: Path) -> None:
    release = _release(tmp_path, "byte-level")
    lines = (release / "dict.txt").read_text(encoding="utf-8").splitlines()
    (release / "dict.txt").write_text("".join(f"{line}\n" for line in lines[1:]), encoding="utf-8")
    with pytest.raises(FocusError, match=rf"has the token {lines[0].split()[0]!r}, which dict\.txt beside it lacks"):
        hugging_face_library(release / "tokenizer.json", Encoder.load(release).vocabulary)


def test_a_unigram_model_that_sentencepiece_does_not_equal_is_refused(tmp_path: Path) -> None:
    KINDS["unigram"](LINES, 400).save(str(tmp_path / "plain.json"))
    content = json.loads((tmp_path / "plain.json").read_text(encoding="utf-8"))
    (tmp_path / "some.json").write_text(json.dumps({**content, "normalizer": {"type": "Lowercase"}}), encoding="utf-8")
    (tmp_path / "text.txt").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (release := tmp_path / "release").mkdir()
    import_vocabulary(Text.of(tmp_path / "text.txt"), tmp_path / "some.json", release)
    with pytest.raises(FocusError, match="is a Unigram model that no SentencePiece model equals"):
        hugging_face_library(release / "tokenizer.json", Encoder.load(release).vocabulary)
