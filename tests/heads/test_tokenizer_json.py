"""Models whose tokenizer is a ``tokenizer.json``, from training to the results of ONNX Runtime and transformers."""

import json
import random
import sys
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq_models import CONFIG, make_world, random_weights
from focus_export.runtime import Predictor
from invoked import focus, refused
from prepared_tables import write_table
from text_model import text_model_outputs
from tokenizer_kinds import KINDS, odd_lines
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline
from triton_schema import message_types, read_configuration

from focus_plugin.binary_data import Encoder
from focus_plugin.checkpoint.release_state import release_state
from focus_plugin.errors import FocusError
from focus_plugin.jobs.export_triton import export_triton
from focus_plugin.text import Text
from focus_plugin.vocabulary.importing import import_vocabulary

WORDS = ["Ba", "be", "go,", "½", "🚀", "e\u0301", "ﬁ"]
TEXTS = ["Ba be  go.\r\nGo ba", "", " ", "🚀go ½ ﬁx e\u0301\u0323\u00a0ba\u200b", "be " * 200, "(Ba)", "\0 be \x07"]


@dataclass(frozen=True)
class Tagged:
    """A tagger with a tokenizer of some kind, and its exports."""

    model: Path
    table: Path
    onnx: Path
    hf: Path


@pytest.fixture(scope="module", params=["byte-level", "wordpiece", "byte-fallback"])
def tagged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tagged:
    """Words that begin with b are names."""
    root = tmp_path_factory.mktemp(request.param)
    world = make_world(root)
    lines = world.train.read_text(encoding="utf-8").splitlines()
    odd = (" ".join(line.split()) for line in odd_lines(lines[0].split(), random.Random(1)))  # without tabs
    KINDS[request.param]([*lines, *odd], 500).save(str(root / "some.json"))
    (source := root / "encoder").mkdir()
    import_vocabulary(Text.of(world.train), root / "some.json", source)
    tokens = len(Encoder.load(source).vocabulary)
    torch.save(release_state(CONFIG, random_weights(tokens)), source / "model.pt")
    rows = [
        [*(f"{word}\t{'B-PER' if word[0] in 'bB' else 'O'}" for word in line[:-1].split()), ".\tO", ""]
        for line in lines
    ]
    train = write_table(root / "t.conll", *chain.from_iterable(rows[:300]))
    table = write_table(root / "v.conll", *chain.from_iterable(rows[300:380]))
    how = ("--epochs", 5, "--batch-size", 8, "--lr", "3e-3", "--cpu", "--quiet")
    focus(
        "finetune", "tagging", "--model", source, "--train", train, "--valid", table, *how, "--output", root / "model"
    )
    for kind in ("onnx", "hf"):
        focus("export", f"--{kind}", "--model", root / "model", "--output", root / kind)
    return Tagged(root / "model", table, root / "onnx", root / "hf")


def test_it_learns_and_its_onnx_model_gives_the_same(tagged: Tagged) -> None:
    how = ("--table", tagged.table, "--cpu")
    found = [focus("evaluate", "--model", model, *how).partition(": ")[2] for model in (tagged.model, tagged.onnx)]
    assert found[0] == found[1]
    assert json.loads((tagged.model / "focus.json").read_text())["counts"]["valid_f1"] > 0.8


def test_offsets_are_those_of_the_original_text(tagged: Tagged) -> None:
    for text, result in zip(TEXTS, Predictor(tagged.onnx).predict(TEXTS), strict=True):
        for found in (*result.tokens, *result.entities):
            assert found.text == text[found.start : found.end]
        assert "".join(token.text for token in result.tokens) == "".join(text.replace("\u200b", " ").split())


def test_the_scores_are_those_of_transformers(tagged: Tagged) -> None:
    """Of words, each of which transformers cuts by itself, and of a text by its pipeline."""
    tokenizer = AutoTokenizer.from_pretrained(tagged.hf)
    model = AutoModelForTokenClassification.from_pretrained(tagged.hf).eval()
    batch = tokenizer(WORDS, is_split_into_words=True, return_tensors="pt")
    with torch.inference_mode():
        scores = model(**batch).logits[0].softmax(1)
    firsts = [batch.word_ids().index(word) for word in range(len(WORDS))]
    [result] = Predictor(tagged.onnx).predict([WORDS])
    np.testing.assert_allclose([token.score for token in result.tokens], scores[firsts].max(1).values, atol=1e-4)
    text = "Ba go be go ba"
    theirs = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="first")(text)
    [result] = Predictor(tagged.onnx).predict([text])
    without_space = [
        (entry["end"] - len(text[entry["start"] : entry["end"]].lstrip()), entry["end"]) for entry in theirs
    ]
    assert without_space == [(found.start, found.end) for found in result.entities]
    assert len(result.entities) > 1


def test_triton_reads_the_tokenizer(tagged: Tagged, tmp_path: Path) -> None:
    export_triton(tagged.onnx, tmp_path / "models")
    configuration = read_configuration(message_types(), tmp_path / "models" / "onnx")
    found = text_model_outputs(tmp_path / "models", configuration, {"text": TEXTS})
    for row, result in zip(found["result"], Predictor(tagged.onnx).predict(TEXTS), strict=True):
        assert [token["tag"] for token in json.loads(row[0])["tokens"]] == [token.tag for token in result.tokens]


def test_the_package_that_reads_it_is_named(tagged: Tagged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(FocusError, match=r"tokenizer\.json: reading it needs the package tokenizers; pip install tok"):
        Predictor(tagged.onnx)


def test_fewer_tokens_need_a_sentencepiece_model(tagged: Tagged, tmp_path: Path) -> None:
    how = ("--keep-tokens-of", tagged.table, "--valid", tagged.table, "--output", tmp_path / "few")
    said = refused("export", "--onnx", "--model", tagged.model, *how)
    assert said == f"{tagged.model}: its tokenizer is tokenizer.json; --keep-tokens-of needs a SentencePiece model."
