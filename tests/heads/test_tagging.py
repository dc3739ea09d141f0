"""Tagging, from tables to predictions, with the tensors and seqeval as references."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet
import pytest
import torch
import triton_python_backend_utils
from click.testing import CliRunner
from fairseq_models import make_world
from focus_cli.main import main
from focus_export.heads.tagging import TaggedWord, Tagging, TaggingHead
from focus_export.runtime import Predictor
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import f1_score
from seqeval.scheme import IOB2
from training_log import chosen_by
from transformers import AutoModelForTokenClassification, AutoTokenizer
from triton_schema import message_types, read_configuration

from focus_plugin.checkpoint.forward import hidden_states
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.files import silent
from focus_plugin.heads.tagging import baseline, examples
from focus_plugin.tagging.columns import TagColumns
from focus_plugin.tagging.sentences import TaggedSentence

LONG = 150  # words of a sentence that is longer than the encoder reads


@dataclass(frozen=True)
class Tagged:
    """model: trained on ``train.conll``. onnx, hf: its exports."""

    root: Path
    model: Path
    onnx: Path
    hf: Path


def focus(*words: object, code: int = 0) -> str:
    """What a command prints."""
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def tags_of(words: Sequence[str]) -> list[str]:
    """The first letter says the type; words of one type beside each other are one entity."""
    kinds = [{"b": "PER", "d": "PER", "g": "LOC"}.get(word[0].lower()) for word in words]
    before = [None, *kinds]
    return [
        "O" if kind is None else f"{'I' if kind == last else 'B'}-{kind}"
        for kind, last in zip(kinds, before, strict=False)
    ]


def write_table(path: Path, sentences: Sequence[Sequence[str]]) -> None:
    lines = (
        "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags_of(words), strict=True)) for words in sentences
    )
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Tagged:
    """In every table is a word that gives no piece, and a sentence longer than the encoder reads."""
    root = tmp_path_factory.mktemp("tagging")
    world = make_world(root)
    draw = random.Random(1)
    sentences = [[*line.rstrip(".").split(), "."] for line in world.train.read_text(encoding="utf-8").splitlines()]
    words = [word for words in sentences for word in words]
    for name, part in (("train", sentences[:220]), ("valid", sentences[220:280]), ("test", sentences[280:330])):
        write_table(root / f"{name}.conll", [*part, ["ba", "\x07", "\0", "go"], draw.choices(words, k=LONG)])
    tables = [word for split in ("train", "valid", "test") for word in (f"--{split}", root / f"{split}.conll")]
    how = ("--epochs", 8, "--batch-size", 8, "--lr", "3e-3", "--cpu")
    model, onnx, hf = (root / name for name in ("model", "onnx", "hf"))
    focus("finetune", "tagging", "--model", world.source, *tables, *how, "--output", model)
    focus("export", "--onnx", "--model", model, "--output", onnx)
    focus("export", "--hf", "--model", model, "--output", hf)
    return Tagged(root, model, onnx, hf)


def counts_of(model: Path) -> dict[str, object]:
    return json.loads((model / "focus.json").read_text())["counts"]


def table(path: Path) -> tuple[list[tuple[str, ...]], list[list[str]]]:
    """The words and tags of a table."""
    found = list(examples(path, TagColumns(), silent))
    return [example.sample for example in found], [list(example.expected.tags) for example in found]


def logits_of(tagged: Tagged, rows: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """The scores of the tags of each token without <s> and </s>, from the tensors of the release, one row at a time."""
    checkpoint = read_checkpoint(tagged.model)
    weight, bias = (checkpoint.task_heads[f"task_head.tags.{kind}"] for kind in ("weight", "bias"))
    return [
        (hidden_states(checkpoint.config, checkpoint.tensors, torch.tensor([row]))[0, 1:-1] @ weight.T + bias).numpy()
        for row in rows
    ]


def test_it_learns_and_tells_what_seqeval_says(tagged: Tagged) -> None:
    counts = counts_of(tagged.model)
    samples, expected = table(tagged.root / "test.conll")
    predicted = [[token.tag for token in result.tokens] for result in Predictor(tagged.onnx).predict(samples)]
    assert counts["test_f1"] == pytest.approx(f1_score(expected, predicted))
    assert counts["test_strict_f1"] == pytest.approx(f1_score(expected, predicted, mode="strict", scheme=IOB2))
    assert 0.7 < counts["valid_f1"] < 1
    assert counts["windows"]["test"] > len(samples) == counts["test_samples"] == 52
    assert counts["test_raw_words"] == 1
    assert counts["test_raw_f1"] == pytest.approx(counts["test_f1"], abs=0.02)
    assert chosen_by(tagged.model, "f1")
    said = focus("evaluate", "--model", tagged.onnx, "--table", tagged.root / "test.conll", "--cpu")
    assert f"f1 {counts['test_f1']:.3f}, strict-f1 {counts['test_strict_f1']:.3f}, f1-LOC " in said


def test_tags_are_those_of_the_first_pieces(tagged: Tagged) -> None:
    """Computed from the tensors, each word in the window that it is kept in; the word without a piece is <unk>."""
    predictor = Predictor(tagged.onnx)
    head, tokenizer = predictor.head, predictor.model.tokenizer
    samples, _ = table(tagged.root / "test.conll")
    seen_windows = set()
    for sample, result in zip(samples, predictor.predict(samples), strict=True):
        encoded = head.encode(tokenizer, sample, False)
        words = encoded.context
        logits = logits_of(tagged, [row.tolist() for row in encoded.rows])
        kept = [
            part[w.kept_start - w.start : w.kept_end - w.start] for w, part in zip(words.windows, logits, strict=True)
        ]
        scores = torch.tensor(np.concatenate(kept)).softmax(1)[words.first_pieces]
        assert [token.tag for token in result.tokens] == [head.tags[best] for best in scores.argmax(1)]
        assert [token.score for token in result.tokens] == pytest.approx(scores.amax(1).tolist(), abs=1e-4)
        assert [token.text for token in result.tokens] == list(sample)
        seen_windows.add(len(words.windows))
    assert min(seen_windows) == 1
    assert max(seen_windows) > 2
    assert head.encode(tokenizer, ["\x07"], False).rows[0].tolist() == [0, 3, 2]


def test_pieces_of_a_word_are_aggregated(tagged: Tagged) -> None:
    predictor = Predictor(tagged.onnx)
    words = ["Bagofe", "dalu", "mibesurako", "."] * 20
    encoded = predictor.head.encode(predictor.model.tokenizer, words, False)
    logits = logits_of(tagged, [row.tolist() for row in encoded.rows])
    windows = encoded.context.windows
    kept = [part[w.kept_start - w.start : w.kept_end - w.start] for w, part in zip(windows, logits, strict=True)]
    pieces = torch.tensor(np.concatenate(kept)).softmax(1).numpy()
    of_words = np.split(pieces, encoded.context.first_pieces[1:])
    assert max(map(len, of_words)) > 1
    for aggregation, combine in (("average", np.mean), ("max", np.max)):
        head = replace(predictor.head, aggregation=aggregation)
        found = head.result(encoded, [{"tags": np.pad(part, ((1, 1), (0, 0)))} for part in logits])
        scores = np.stack([combine(part, axis=0) for part in of_words])
        assert [head.tags.index(token.tag) for token in found.tokens] == scores.argmax(1).tolist()
        assert [token.score for token in found.tokens] == pytest.approx(scores.max(1).tolist())


def test_what_transformers_loads_has_the_same_logits(tagged: Tagged) -> None:
    model, tokenizer = (
        AutoModelForTokenClassification.from_pretrained(tagged.hf),
        AutoTokenizer.from_pretrained(tagged.hf),
    )
    predictor = Predictor(tagged.onnx)
    text = "Bagofe dalu mibesurako"
    given_words = tokenizer(text.split(), is_split_into_words=True, return_tensors="pt")
    row = predictor.head.encode(predictor.model.tokenizer, text.split(), False).rows[0]
    assert given_words["input_ids"][0].tolist() == row.tolist()
    with torch.inference_mode():
        theirs = model(**given_words).logits[0].numpy()
    ours = predictor.model.run(row[None].astype(np.int32), np.array([len(row)], np.int32))["tags"][0]
    assert np.abs(theirs - ours).max() < 1e-4
    assert [model.config.id2label[number] for number in range(len(predictor.head.tags))] == list(predictor.head.tags)


def test_formats_of_predictions(tagged: Tagged, tmp_path: Path) -> None:
    """Raw text is cut into words as the table was; an empty line gives a result without words."""
    texts = ["Badi, gofe.", "", "\ufb01b\u0301a gola"]
    (tmp_path / "t.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    for name in ("out.jsonl", "out.conll", "out.conllu", "out.parquet"):
        focus("predict", "--model", tagged.onnx, "--input", tmp_path / "t.txt", "--output", tmp_path / name)
    results = list(Predictor(tagged.onnx).predict(texts))
    assert [token.text for token in results[0].tokens] == ["Badi", ",", "gofe", "."]
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    for record, result in zip(records, results, strict=True):
        assert record["tokens"] == [token._asdict() for token in result.tokens]
        assert record["entities"] == [entity._asdict() for entity in result.entities]
    lines = (tmp_path / "out.conll").read_text(encoding="utf-8")
    written = [[f"{token.text}\t{token.tag}\n" for token in result.tokens] for result in results]
    assert lines == "".join("".join(words) + "\n" for words in written)
    found = (tmp_path / "out.conllu").read_text(encoding="utf-8").split("\n")
    assert [(line.split("\t") * 2)[1] for line in found] == [line.split("\t")[0] for line in lines.split("\n")]
    rows = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    frame = Predictor(tagged.onnx)(pandas.DataFrame({"text": texts}))
    assert pyarrow.types.is_struct(pyarrow.Table.from_pandas(frame)["tokens"].type.value_type)
    for row, column, record in zip(rows, frame["tokens"], records, strict=True):
        assert column == record["tokens"]
        for kind in ("tokens", "entities"):
            scores = [entry.pop("score") for entry in row[kind]]
            assert scores == pytest.approx([entry.pop("score") for entry in record[kind]])
        assert row == {"tokens": record["tokens"], "entities": record["entities"]}


def test_given_words_and_words_between_spaces(tagged: Tagged, tmp_path: Path) -> None:
    predictor = Predictor(tagged.onnx)
    words = ["Badi,", "gofe", "la  la"]
    [result] = predictor.predict([np.array(words, object)])
    assert [(token.text, token.start) for token in result.tokens] == [("Badi,", 0), ("gofe", 6), ("la  la", 11)]
    focus("export", "--onnx", "--model", tagged.model, "--output", tmp_path / "spaces", "--words", "spaces")
    [spaced] = Predictor(tmp_path / "spaces").predict(["Badi, gofe\u00a0la"])
    assert [token.text for token in spaced.tokens] == ["Badi,", "gofe", "la"]
    wrongs = (["ba", 3], "is a int, not text"), (None, "is a NoneType"), ("\ud800", "lone surrogate")
    for wrong, message in (*wrongs, (b"ba", "is a bytes"), ({"text": "ba"}, "is a dict")):
        with pytest.raises(FocusError, match=f"Text 1: {message}|Text 1: .*{message}"):
            list(predictor.predict([wrong]))


ODD = st.text(st.sampled_from("Bagdo .,'\ufb01\u0301é😀\u200d\r\n\u00a0\0\u200b\tª①"), max_size=200)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(ODD, max_size=3))
def test_offsets_are_those_of_the_original_text(served: Predictor, texts: list[str]) -> None:
    for text, result in zip(texts, served.predict(texts), strict=True):
        assert "".join(token.text for token in result.tokens) == "".join(text.replace("\u200b", " ").split())
        for entry in (*result.tokens, *result.entities):
            assert text[entry.start : entry.end] == entry.text
        tags = [token.tag for token in result.tokens]
        assert [entity.type for entity in result.entities] == [
            tag[2:]
            for tag, before in zip(tags, ["O", *tags], strict=False)
            if tag != "O" and (tag[0] == "B" or tag[2:] != before[2:])
        ]
        assert "\n" not in "".join(token.text for token in result.tokens)


@pytest.fixture(scope="module")
def served(tagged: Tagged) -> Predictor:
    return Predictor(tagged.onnx)


def test_tables_that_do_not_fit(tagged: Tagged, tmp_path: Path) -> None:
    """Nothing is written, and the message names file and line."""
    bad, table = tmp_path / "bad.conll", tagged.root / "train.conll"
    bad.write_text("Ba\tO\nGo\tB-ORG\n")
    said = focus("evaluate", "--model", tagged.onnx, "--table", bad, code=1)
    assert f"{bad}, line 1: the model has no tag 'B-ORG', which 'Go' on line 2 has; it has 'O', 'B-LOC'" in said
    base = ("finetune", "tagging", "--model", tagged.root / "source", "--output", tmp_path / "out", "--cpu")
    said = focus(*base, "--train", table, "--valid", bad, code=1)
    assert f"{bad}, line 1: the model has no tag 'B-ORG'" in said
    bad.write_text("Ba\tO\n")
    said = focus(*base, "--train", bad, "--valid", table, code=1)
    assert f"{bad}: every word has the tag 'O'; a tagger needs at least two" in said
    assert not (tmp_path / "out").exists()
    said = focus("evaluate", "--model", tagged.onnx, "--table", table, "--text-column", "x", code=1)
    assert "is a model for tagging, whose tables have no option text_column" in said


def test_words_with_unknown_tags_count_as_wrong(tagged: Tagged, tmp_path: Path) -> None:
    given = tmp_path / "given.conll"
    given.write_text((tagged.root / "test.conll").read_text() + "\nBa\tB-PER\nGo\tB-ORG\nba\tO\n")
    samples, expected = table(given)
    predicted = [[token.tag for token in result.tokens] for result in Predictor(tagged.onnx).predict(samples)]
    said = focus("evaluate", "--model", tagged.onnx, "--table", given, "--accept-unknown-tags", "--cpu")
    assert f"f1 {f1_score(expected, predicted):.3f}, " in said
    assert "f1-ORG 0.000" in said
    tables = ("--train", tagged.root / "train.conll", "--valid", given, "--accept-unknown-tags", "--epochs", 1)
    output = tmp_path / "out"
    said = focus("finetune", "tagging", "--model", tagged.root / "source", *tables, "--cpu", "--output", output)
    assert "Words whose tag the training table lacks, which count as wrong: 1." in said
    assert "B-ORG" not in counts_of(output)["tags"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tags": ("O", "O")}, '"tags"'),
        ({"tags": ()}, '"tags"'),
        ({"tags": "O"}, '"tags" is not a list of strings'),
        ({"joined": ("",)}, '"joined"'),
        ({"whole": ("",)}, '"whole"'),
        ({"aggregation": "last"}, '"aggregation" is .last., not one of first, average, max'),
        ({"words": "?"}, '"words" is'),
    ],
)
def test_fields_that_are_no_head(fields: dict[str, object], message: str) -> None:
    head = TaggingHead(("O", "X"), ("",) * 4, ())
    assert head.fault() is None
    assert re.search(message, replace(head, **fields).fault())


def test_plain_tags(tagged: Tagged, tmp_path: Path) -> None:
    """Parts of speech are judged by their accuracy; a feature of CoNLL-U is another plain tag."""
    lines = ["1\tBa\t_\tNOUN\t_\tCase=Nom\t0\t_\t_\tSpaceAfter=No", "2\t.\t_\tPUNCT\t_\t_\t0\t_\t_\t_", ""]
    (tmp_path / "t.conllu").write_text("\n".join(lines * 60))
    tables = ("--train", tmp_path / "t.conllu", "--valid", tmp_path / "t.conllu", "--test", tmp_path / "t.conllu")
    base = ("finetune", "tagging", "--model", tagged.root / "source", *tables, "--cpu", "--tag-column", "Case")
    said = focus(*base, "--epochs", 2, "--lr", "1e-2", "--batch-size", 4, "--output", tmp_path / "out")
    assert "accuracy 1.000, raw-words 1.000, raw-accuracy 1.000 on 60 validation samples" in said
    assert counts_of(tmp_path / "out")["tags"] == ["Nom", "_"]
    assert TaggingHead(("Nom", "_"), ("",) * 4, ()).columns == ("tokens",)
    assert '"valid_accuracy"' in (tmp_path / "out" / "train.log").read_text()


TRITON = """
import asyncio, importlib, json, sys
from pathlib import Path
import numpy as np
repository, texts, configuration = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
sys.path.insert(0, repository + "/onnx")
import triton_python_backend_utils as triton
triton.repository = Path(repository)
model = importlib.import_module("1.model").TritonPythonModel()
model.initialize({"model_config": configuration, "model_name": "onnx"})
given = triton.Tensor("text", np.array([[text.encode()] for text in texts], object))
[response] = asyncio.run(model.execute([triton.InferenceRequest([given])]))
print(json.dumps([json.loads(row[0]) for row in response.output_tensors[0].array]))
ours = [module.__file__ for name, module in sys.modules.items() if name.startswith("focus_")]
assert len(ours) > 8 and all(file.startswith(repository) for file in ours), ours
"""


def test_triton_has_copies_of_all_that_the_head_imports(tagged: Tagged, tmp_path: Path) -> None:
    focus("export", "--triton", "--model", tagged.onnx, "--output", tmp_path / "models")
    texts = ["Badi, gofe.", "", "ba " * LONG]
    configuration = read_configuration(message_types(), tmp_path / "models" / "onnx")
    written = json_format.MessageToJson(configuration, preserving_proto_field_name=True)
    command = [sys.executable, "-c", TRITON, str(tmp_path / "models"), json.dumps(texts), written]
    support = {"PYTHONPATH": str(Path(triton_python_backend_utils.__file__).parent)}
    done = subprocess.run(command, env={**os.environ, **support}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    predictor = Predictor(tagged.onnx)
    for record, result in zip(json.loads(done.stdout), predictor.predict(texts), strict=True):
        assert [token["text"] for token in record["tokens"]] == [token.text for token in result.tokens]
        assert [entity["type"] for entity in record["entities"]] == [entity.type for entity in result.entities]


def test_reduced_precision_is_judged_by_f1(tagged: Tagged, tmp_path: Path) -> None:
    valid = tagged.root / "valid.conll"
    base = ("export", "--onnx", "--model", tagged.model, "--precision", "int8", "--valid", valid, "--max-loss", 1)
    said = focus(*base, "--output", tmp_path / "int8")
    (loss,) = re.findall(r"\nf1 as int8 (\S+) \(fp32: (\S+)\)", said)
    assert loss[1] == f"{counts_of(tagged.model)['valid_f1']:.3f}"
    assert f"f1 {loss[0]}, " in focus("evaluate", "--model", tmp_path / "int8", "--table", valid, "--cpu")


def test_conllu_is_read_again(tagged: Tagged, tmp_path: Path) -> None:
    """The tags of entities are in MISC, and plain tags are UPOS."""
    [result] = Predictor(tagged.onnx).predict(["Badi, gofe"])
    tags = [token.tag for token in result.tokens]
    lines = Predictor(tagged.onnx).head.lines()["conllu"](result).splitlines()
    assert [line.split("\t")[-1] for line in lines[:3]] == [
        f"NER={tags[0]}|SpaceAfter=No",
        f"NER={tags[1]}",
        f"NER={tags[2]}",
    ]
    (tmp_path / "t.conllu").write_text("\n".join(lines))
    (example,) = examples(tmp_path / "t.conllu", TagColumns(tag_column="NER", scheme="plain"), silent)
    assert (example.expected.text, list(example.expected.tags)) == ("Badi, gofe", tags)
    head = TaggingHead(("X", "Y"), ("",) * 4, ())
    words = tuple(TaggedWord("Badi, gofe"[start:end], start, end, "X", 1) for start, end in ((0, 4), (4, 5), (6, 10)))
    (tmp_path / "t.conllu").write_text(head.lines()["conllu"](Tagging(words, ())))
    (example,) = examples(tmp_path / "t.conllu", TagColumns(), silent)
    assert (example.expected.text, example.expected.tags) == ("Badi, gofe", ("X", "X", "X"))


def test_errors_are_words(tagged: Tagged, tmp_path: Path) -> None:
    path, report, given = tmp_path / "errors.tsv", tmp_path / "report.html", tagged.root / "test.conll"
    focus("evaluate", "--model", tagged.onnx, "--table", given, "--errors", path, "--report", report, "--cpu")
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == ["line", "expected", "predicted", "text"]
    samples, expected = table(given)
    predicted = [[token.tag for token in result.tokens] for result in Predictor(tagged.onnx).predict(samples)]
    wrong = [
        (one, other, word, " ".join((*words[max(0, i - 50) : i], f"[{word}]", *words[i + 1 : i + 51])))
        for words, tags, found in zip(samples, expected, predicted, strict=True)
        for i, (word, one, other) in enumerate(zip(words, tags, found, strict=True))
        if one != other
    ]
    lines = given.read_text(encoding="utf-8").split("\n")
    for (line, one, other, text), want in zip(rows[1:], wrong, strict=True):
        assert (one, other, lines[int(line) - 1], text) == (*want[:2], f"{want[2]}\t{one}", want[3])
    assert max(len(text.split()) for *_, text in wrong) > 100, "or no long sentence has a wrong tag"
    page = report.read_text(encoding="utf-8")
    assert "Confusion of labels" in page
    assert "<td>I-PER</td>" in page


def test_the_baseline_of_plain_tags_is_the_commonest() -> None:
    tags = TaggedSentence(words=("a", "b", "c"), tags=("X", "Y", "X"), lines=(1, 2, 3))
    assert baseline([tags]) == pytest.approx(2 / 3)
    assert baseline([replace(tags, tags=("O", "B-X", "I-X"))]) == 0
