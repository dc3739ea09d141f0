"""A ``tokenizer.json`` with the ids of a release, as transformers gets it."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from export_models import random_words
from tokenizer_kinds import KINDS, odd_lines
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.text import Text
from focus_plugin.vocabulary.files import dictionary_token
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


def _lowercase(content: dict[str, Any]) -> None:
    content["normalizer"] = {"type": "Lowercase"}


def _with_bytes(content: dict[str, Any]) -> None:
    _lowercase(content)
    content["model"]["vocab"] += [[f"<0x{byte:02X}>", -12.0] for byte in range(256)]
    content["model"]["byte_fallback"] = True


def _without_specials(content: dict[str, Any]) -> None:
    """As GPT-2's and Llama's: none of XLM-R's names."""
    content["added_tokens"] = []
    content["model"]["vocab"] = {f"|{t}|" if t in SPECIALS else t: i for t, i in content["model"]["vocab"].items()}


def _with_dropout(content: dict[str, Any]) -> None:
    content["model"]["dropout"] = 0.5


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("unigram", _lowercase),
        ("unigram", _with_bytes),
        ("byte-level", _without_specials),
        ("byte-level", _with_dropout),
        ("wordpiece", _lowercase),
        ("byte-fallback", _lowercase),
    ],
)
def test_added_tokens_of_any_tokenizer_keep_the_ids_of_the_release(
    tmp_path: Path, kind: str, change: Callable[[dict[str, Any]], None]
) -> None:
    """Text is cut into them as by the published tokenizer, also after transformers has read the file."""
    library = KINDS[kind](LINES, 400)
    content = json.loads(library.to_str())
    change(content)
    library = Tokenizer.from_str(json.dumps(content))
    added = [
        AddedToken("kama", single_word=True),
        AddedToken("[user]", lstrip=True),
        AddedToken("   ", normalized=False),
    ]
    library.add_tokens(added)
    library.save(str(tmp_path / "some.json"))
    (tmp_path / "text.txt").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (release := tmp_path / "release").mkdir()
    import_vocabulary(Text.of(tmp_path / "text.txt"), tmp_path / "some.json", release)
    encoder = Encoder.load(release)
    assert encoder.vocabulary.tokens[-4:] == ("kama", "[user]", "<U+0020>" * 3, "<mask>")
    (output := tmp_path / "output").mkdir()
    hugging_face_library(release / "tokenizer.json", encoder.vocabulary).save(str(output / "tokenizer.json"))
    loaded = PreTrainedTokenizerFast(tokenizer_file=str(output / "tokenizer.json"))
    mark = ["[MASK]" if kind == "wordpiece" else "<mask>"]
    assert loaded.convert_ids_to_tokens(range(len(encoder.vocabulary)))[-4:] == ["kama", "[user]", "   ", *mark]
    assert len(loaded) == len(encoder.vocabulary)
    texts = [*LINES[:100], *ODD, "kama kamata", "ba [user]ta", "ba   ta", "KAMA kama   ba"]
    if hasattr(library.model, "dropout"):
        library.model.dropout = None
    library.encode_special_tokens = True
    for text, ids in zip(texts, encoder(texts), strict=True):
        assert loaded(text)["input_ids"] == [0, *ids, 2]
        known = encoder.vocabulary.ids
        found = library.encode(text, add_special_tokens=False).ids
        want = [dictionary_token(library.id_to_token(i)) for i in found]
        assert [*ids] == [known["<unk>"] if token == "[UNK]" else known[token] for token in want]


def test_names_of_bert_beside_those_of_xlmr_are_tokens(tmp_path: Path) -> None:
    """Then ``<s>`` is the beginning of a text, and ``[CLS]`` any token."""
    library = KINDS["byte-level"](LINES, 400)
    library.add_special_tokens(["[CLS]", "[MASK]"])
    library.save(str(tmp_path / "some.json"))
    (tmp_path / "text.txt").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (release := tmp_path / "release").mkdir()
    import_vocabulary(Text.of(tmp_path / "text.txt"), tmp_path / "some.json", release)
    vocabulary = Encoder.load(release).vocabulary
    found = hugging_face_library(release / "tokenizer.json", vocabulary)
    assert [found.id_to_token(i) for i in range(len(vocabulary))] == [*vocabulary.tokens]
