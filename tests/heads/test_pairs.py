"""Pairs of texts: how they are read and cut, tables that are wrong, and labels and scores from the table to serving."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet
import pytest
import torch
from fairseq_models import CONFIG, World
from focus_export.heads.pairs import PairsHead, kept_pieces
from focus_export.runtime import Predictor
from hypothesis import example, given, settings
from hypothesis import strategies as st
from invoked import focus, refused
from prepared_tables import prepared_tables, write_table
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score
from text_model import text_model_outputs
from training_log import chosen_by
from transformers import AutoTokenizer, PreTrainedTokenizerFast, XLMRobertaForSequenceClassification
from triton_schema import message_types, read_configuration

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.samples import TrainingSamples
from focus_plugin.finetuning.tokenizer import release_tokenizer
from focus_plugin.heads.pairs import HEAD, fault, metrics
from focus_plugin.jobs.export_triton import export_triton
from focus_plugin.vocabulary.huggingface import hugging_face_sentencepiece
from focus_plugin.vocabulary.readers import read_dictionary

HEADER = "label\tfirst\tsecond"
ODD = [("", ""), ("", "ba be"), (" ", "\u200b"), ("e\u0301ﬁ 😀\0", "ba\xa0\x85be")]


@pytest.fixture(scope="module")
def library(world: World) -> PreTrainedTokenizerFast:
    """transformers' tokenizer of the world's SentencePiece model."""
    vocabulary = read_dictionary(world.source / "dict.txt")
    tokenizer = hugging_face_sentencepiece(world.source / "sentencepiece.bpe.model", vocabulary)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


WORDS = st.lists(st.sampled_from(["ba", "be", "Go", "x", "é", "\u3000", "."]), max_size=70).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(WORDS, WORDS)
@example("ba " * 90, "be " * 90)
@example("ba " * 29, "be " * 30)
@example("ba " * 30, "be " * 29)
def test_a_pair_is_the_row_of_transformers(
    world: World, library: PreTrainedTokenizerFast, first: str, second: str
) -> None:
    """Layout and truncation, with an even and an odd number of pieces that there is room for."""
    for most in (CONFIG.max_positions, CONFIG.max_positions - 1):
        tokenizer = release_tokenizer(world.source, Encoder.load(world.source), most)
        encoded = PairsHead().encode(tokenizer, (first, second), truncate=True)
        (row,) = encoded.rows
        [want] = library([first], [second], truncation="longest_first", max_length=most)["input_ids"]
        assert row.tolist() == want
        [whole] = library([first], [second])["input_ids"]
        assert encoded.left_out == len(whole) - len(want)
        if encoded.left_out:
            with pytest.raises(FocusError, match=f"{len(whole)} tokens with both texts, .* at most {most}"):
                PairsHead().encode(tokenizer, (first, second), truncate=False)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 198))
def test_what_is_kept_fills_the_room_and_spares_the_shorter_text(first: int, second: int, room: int) -> None:
    room = min(room, first + second)
    one, other = kept_pieces(first, second, room)
    assert one + other == room
    assert 0 <= one <= first
    assert 0 <= other <= second
    if one < first:
        assert one >= other - 1
    if other < second:
        assert other >= one - 1


GOOD = (HEADER, "1\tba\tbe", "2\tbi\tbo")


@pytest.mark.parametrize(
    ("train", "valid", "options", "message"),
    [
        (("label\tfirst", "1\tba"), GOOD, {}, r"t\.tsv, line 1: the header has no column 'second'"),
        ((HEADER, "1\tba\tbe\tbi"), GOOD, {}, r"t\.tsv, line 2: 4 columns, but the header has 3"),
        ((*GOOD, "1\t\tbe"), GOOD, {}, r"t\.tsv, line 4: the column 'first' is empty"),
        (GOOD, (*GOOD, "1\tba\t\u3000"), {}, r"v\.tsv, line 4: the column 'second' is empty"),
        ((*GOOD, " \tba\tbe"), GOOD, {}, r"t\.tsv, line 4: the label is empty"),
        ((HEADER, "1\tba\tbe"), GOOD, {}, r"t\.tsv: every row has the label '1'; at least two"),
        (GOOD, (*GOOD, "3\tba\tbe"), {}, r"v\.tsv, line 4: the label '3' is not in .*t\.tsv, which has '1', '2'\."),
        ((*GOOD, f"1\tba\t{'be ' * 90}"), GOOD, {}, r"t\.tsv, line 4: \d+ tokens with both texts, .* at most 62"),
        (
            GOOD,
            GOOD,
            {"regression": True, "label_smoothing": 0.1},
            "--class-weights, --class-sampling and --label-smoothing are for",
        ),
        ((HEADER, "1\tba\tbe"), GOOD, {"regression": True}, r"t\.tsv: every row has the score 1\.0"),
        ((*GOOD, "many\tba\tbe"), GOOD, {"regression": True}, r"t\.tsv, line 4: the score 'many' is not a finite num"),
        (GOOD, (*GOOD, "NaN\tba\tbe"), {"regression": True}, r"v\.tsv, line 4: the score 'NaN' is not a finite numb"),
        (GOOD, (*GOOD, "-inf\tba\tbe"), {"regression": True}, r"v\.tsv, line 4: the score '-inf' is not a finite nu"),
        ((*GOOD, "0,5\tba\tbe"), GOOD, {"regression": True}, r"t\.tsv, line 4: the score '0,5' is not a finite numb"),
    ],
)
def test_wrong_tables(
    world: World,
    tmp_path: Path,
    train: tuple[str, ...],
    valid: tuple[str, ...],
    options: dict[str, object],
    message: str,
) -> None:
    tables = (write_table(tmp_path / "t.tsv", *train), write_table(tmp_path / "v.tsv", *valid))
    with pytest.raises(FocusError, match=message):
        prepared_tables(HEAD, world, tmp_path, tables, **options)


def test_scores_are_written_as_they_are(world: World, tmp_path: Path) -> None:
    """Also the number that pads what is expected; a table may begin with a BOM and end its lines with CRLF."""
    rows = ("-100\tba be\tbi", "2.5e2\tbo\tbu", f" 0.1\tba\t{'be ' * 90}")
    train = write_table(tmp_path / "t.tsv", f"\ufeff{HEADER}\r", *(f"{row}\r" for row in rows))
    data, prepared = prepared_tables(HEAD, world, tmp_path, (train, train), regression=True, truncate=True)
    samples = TrainingSamples(data, "train", 1, seed=1)
    assert [samples[i]["expected"].item() for i in range(3)] == [-100, 250, 0.1]
    assert (prepared.head.mean, prepared.head.deviation) == (np.mean([-100, 250, 0.1]), np.std([-100, 250, 0.1]))
    assert (prepared.samples, prepared.counts["truncated"]) == (3, 2)
    assert len(samples[2]["rows"][0]) == CONFIG.max_positions


def test_correlations_that_are_not_defined_are_zero() -> None:
    assert metrics(["1", "2", "4"], [3.0, 3.0, 3.0]) == {"spearman": 0, "pearson": 0}
    assert metrics(["1"], [3.0]) == {"spearman": 0, "pearson": 0}
    assert metrics(["1", "2", "4"], [0.0, 0.5, 1.5]) == pytest.approx({"spearman": 1, "pearson": 1})
    assert list(metrics(["1", "2"], [1.0, 2.0])) == ["spearman", "pearson"], "the first one decides"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": ("a", "a")}, "\"labels\" has the label 'a' twice"),
        ({"labels": ("a", 1)}, 'needs its list of labels under "labels"'),
        ({"labels": "ab"}, 'needs its list of labels under "labels"'),
        ({"mean": "0"}, "\"mean\" is '0', not a finite number"),
        ({"mean": True}, '"mean" is True'),
        ({"deviation": 0}, '"deviation" is 0, not more than zero'),
        ({"deviation": float("nan")}, '"deviation" is nan'),
    ],
)
def test_settings_that_are_wrong(settings: dict[str, object], message: str) -> None:
    assert message in PairsHead(**settings).fault()
    assert PairsHead().fault() is None
    assert fault(PairsHead(labels=("a", "b")), "c") == "the model has no label 'c'; it has 'a', 'b'"


@dataclass(frozen=True)
class Served:
    """A model for pairs, what it was trained on, its ONNX export and its directory for transformers."""

    model: Path
    rows: list[list[str]]
    valid: Path
    onnx: Path
    hugging_face: Path

    @property
    def counts(self) -> dict[str, object]:
        return json.loads((self.model / "focus.json").read_text())["counts"]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs of the validation table."""
        return [(first, second) for _, first, second in self.rows]

    def logits(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        """What transformers computes."""
        model = XLMRobertaForSequenceClassification.from_pretrained(self.hugging_face).eval()
        tokenizer = AutoTokenizer.from_pretrained(self.hugging_face)
        batch = tokenizer(*map(list, zip(*pairs, strict=True)), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            return model(**batch).logits.numpy()


def _served(world: World, name: str, rows: list[str], *options: object) -> Served:
    root = world.root / name
    root.mkdir()
    train, valid = write_table(root / "t.tsv", HEADER, *rows[:500]), write_table(root / "v.tsv", HEADER, *rows[500:])
    how = ("--epochs", 5, "--batch-size", 16, "--lr", "3e-3", "--cpu", "--truncate", "--quiet", *options)
    tables = ("--model", world.source, "--train", train, "--valid", valid)
    focus("finetune", "pairs", *tables, *how, "--output", root / "model")
    for kind in ("onnx", "hf"):
        focus("export", f"--{kind}", "--model", root / "model", "--output", root / kind)
    parts = [row.split("\t") for row in rows[500:]]
    return Served(root / "model", parts, valid, root / "onnx", root / "hf")


def _texts(world: World) -> list[tuple[str, str]]:
    lines = world.train.read_text(encoding="utf-8").splitlines()
    return list(zip(lines, lines[7:] + lines[:7], strict=True))


@pytest.fixture(scope="module")
def labels(world: World) -> Served:
    """The label says how many of both texts begin with a letter before M."""
    kinds = ("none", "one", "both")
    rows = [f"{kinds[(one[0] < 'M') + (other[0] < 'M')]}\t{one}\t{other}" for one, other in _texts(world)]
    return _served(world, "labels", rows)


@pytest.fixture(scope="module")
def scores(world: World) -> Served:
    """The score depends on the first letters of both texts, in a unit far from one."""
    rows = [f"{5000 + 20 * (ord(one[0]) + ord(other[0]) - 154)}\t{one}\t{other}" for one, other in _texts(world)]
    return _served(world, "scores", rows, "--regression")


def test_labels_need_both_texts_and_are_those_of_transformers(labels: Served) -> None:
    assert labels.counts["labels"] == ["both", "none", "one"]
    logits = labels.logits(labels.pairs)
    expected, found = [row[0] for row in labels.rows], [labels.counts["labels"][i] for i in logits.argmax(1)]
    assert labels.counts["valid_accuracy"] == accuracy_score(expected, found) > 0.7
    assert labels.counts["valid_macro_f1"] == pytest.approx(f1_score(expected, found, average="macro"))
    assert labels.counts["truncated"] > 0
    assert chosen_by(labels.model, "accuracy")
    pairs = [*labels.pairs, *ODD]
    probabilities = torch.from_numpy(labels.logits(pairs)).softmax(1).numpy()
    np.testing.assert_allclose(Predictor(labels.onnx, truncate=True).rows(pairs), probabilities, atol=1e-4, rtol=0)
    config = json.loads((labels.hugging_face / "config.json").read_text())
    assert config["problem_type"] == "single_label_classification"


def test_scores_in_any_unit_are_those_of_transformers(scores: Served) -> None:
    logits = scores.logits(scores.pairs)[:, 0]
    expected = [float(row[0]) for row in scores.rows]
    assert scores.counts["valid_spearman"] == pytest.approx(spearmanr(expected, logits)[0], abs=1e-4)
    assert scores.counts["valid_pearson"] == pytest.approx(pearsonr(expected, logits)[0], abs=1e-4)
    assert scores.counts["valid_spearman"] > 0.6  # 0.71 to 0.89 with four random seeds
    assert chosen_by(scores.model, "spearman")
    assert np.abs(logits - expected).mean() < np.std(expected)
    pairs = [*scores.pairs, *ODD]
    found = list(Predictor(scores.onnx, truncate=True).predict(pairs))
    np.testing.assert_allclose(found, scores.logits(pairs)[:, 0], rtol=1e-4)
    assert json.loads((scores.hugging_face / "config.json").read_text())["problem_type"] == "regression"


@pytest.mark.parametrize("kind", ["labels", "scores"])
def test_a_table_is_evaluated_in_pytorch_and_onnx(kind: str, request: pytest.FixtureRequest) -> None:
    served = request.getfixturevalue(kind)
    names = ("accuracy", "macro_f1") if kind == "labels" else ("spearman", "pearson")
    said = ", ".join(f"{name.replace('_', '-')} {served.counts[f'valid_{name}']:.3f}" for name in names)
    commonest = max(Counter(row[0] for row in served.rows).values()) / 100
    baseline = f" Always giving the commonest result: accuracy {commonest:.3f}." if kind == "labels" else ""
    for model in (served.model, served.onnx):
        found = focus("evaluate", "--model", model, "--table", served.valid, "--truncate", "--cpu")
        assert found == f"{model}: {said} on 100 samples.{baseline}\n"


@pytest.mark.parametrize("kind", ["labels", "scores"])
def test_a_csv_file_with_both_texts_in_a_cell_is_the_same_table(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    served = request.getfixturevalue(kind)
    rows = [(f"{first}\n{second}", label) for label, first, second in served.rows]
    pandas.DataFrame(rows, columns=["Text", "Score"]).to_csv(tmp_path / "v.csv", lineterminator="\r\n")
    how = ("--model", served.onnx, "--truncate", "--cpu")
    found = focus("evaluate", *how, "--table", tmp_path / "v.csv", "--pair-column", "Text", "--label-column", "Score")
    assert found == focus("evaluate", *how, "--table", served.valid)


@pytest.mark.parametrize("kind", ["labels", "scores"])
def test_errors_are_listed(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Wrong labels in the order of the table; scores by their difference."""
    served = request.getfixturevalue(kind)
    files = ("--errors", tmp_path / "errors.tsv", "--report", tmp_path / "report.html")
    command = ("evaluate", "--model", served.onnx, "--table", served.valid, "--truncate", "--cpu", *files)
    focus(*command)
    header, *rows = [line.split("\t") for line in (tmp_path / "errors.tsv").read_text(encoding="utf-8").splitlines()]
    assert header == ["line", "expected", "predicted", "first", "second"]
    results = list(Predictor(served.onnx, truncate=True).predict(served.pairs))
    if kind == "labels":
        assert rows == [
            [str(line), expected, result.label, *pair]
            for line, ((expected, *pair), result) in enumerate(zip(served.rows, results, strict=True), 2)
            if expected != result.label
        ]
        assert len(rows) == round(100 * (1 - served.counts["valid_accuracy"]))
    else:
        differences = [abs(float(expected) - found) for (expected, *_), found in zip(served.rows, results, strict=True)]
        assert [int(row[0]) - 2 for row in rows] == sorted(range(100), key=lambda number: -differences[number])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("Confusion of labels" in page) == (kind == "labels")
    assert f"{len(rows)} of {len(rows)}." in page
    assert refused(*command) == f"{tmp_path / 'errors.tsv'}: exists already; remove it, or choose another file."


@pytest.mark.parametrize("name", ["out.jsonl", "out.txt", "out.npy", "out.parquet"])
@pytest.mark.parametrize("kind", ["labels", "scores"])
def test_pairs_are_predicted_from_lines_with_a_tab(
    kind: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    served = request.getfixturevalue(kind)
    pairs = [*served.pairs, ("", ""), ("", "ba be"), ("e\u0301ﬁ 😀", "ba\xa0be")]
    write_table(tmp_path / "pairs.tsv", *map("\t".join, pairs))
    output = tmp_path / name
    how = ("--truncate", "--provider", "cpu")
    focus("predict", "--model", served.onnx, "--input", tmp_path / "pairs.tsv", *how, "--output", output)
    want = list(Predictor(served.onnx, truncate=True).predict(pairs))
    if name == "out.npy":
        rows = [list(result.scores.values()) if kind == "labels" else [result] for result in want]
        np.testing.assert_allclose(np.load(output), rows, rtol=1e-5)
        return
    if name == "out.txt":
        said = output.read_text().splitlines()
        assert said == [result.label if kind == "labels" else f"{result:.6g}" for result in want]
        return
    if name == "out.jsonl":
        found = [json.loads(line) for line in output.read_text().splitlines()]
    else:
        found = pyarrow.parquet.read_table(output).to_pylist()
    if kind == "labels":
        assert [row["label"] for row in found] == [result.label for result in want]
    else:
        assert [row["score"] for row in found] == pytest.approx(want)


def test_a_line_that_is_no_pair_is_told(labels: Served, tmp_path: Path) -> None:
    for line, what in (("ba be", "1 text"), ("ba\tbe\tbi", "3 texts"), ("", "1 text")):
        write_table(tmp_path / "pairs.tsv", "ba\tbe", line)
        files = ("--input", tmp_path / "pairs.tsv", "--output", tmp_path / "out.jsonl")
        said = refused("predict", "--model", labels.onnx, *files)
        assert said == f"{tmp_path / 'pairs.tsv'}, line 2: is {what}, but the model reads 2 together: first, second."
        (tmp_path / "out.jsonl.unfinished").unlink(missing_ok=True)
        (tmp_path / "out.jsonl.unfinished.json").unlink(missing_ok=True)


def test_models_and_tables_of_other_tasks_are_refused(labels: Served, scores: Served) -> None:
    said = refused("evaluate", "--model", labels.model, "--table", labels.valid, "--text-column", "first")
    assert said == f"{labels.model}: is a model for pairs, whose tables have no option text_column."
    said = refused("evaluate", "--model", labels.onnx, "--table", scores.valid, "--truncate")
    assert ".tsv, line 2: the model has no label '" in said
    said = refused("evaluate", "--model", scores.model, "--table", labels.valid, "--truncate")
    assert ".tsv, line 2: the score '" in said
    assert "' is not a finite number." in said
    said = refused("export", "--onnx", "--model", labels.model, "--pooling", "first", "--output", "never")
    assert "is a model for pairs, which has no option --pooling" in said


def test_less_precision_is_judged_by_the_accuracy_of_a_table(labels: Served, tmp_path: Path) -> None:
    base = ("export", "--onnx", "--model", labels.model, "--precision", "int8", "--valid", labels.valid)
    focus(*base, "--max-loss", 1, "--output", tmp_path / "int8")
    scores = json.loads((tmp_path / "int8" / "focus.json").read_text())["counts"]["scores"]
    assert scores["accuracy"][0] == pytest.approx(labels.counts["valid_accuracy"])
    assert list(scores) == ["accuracy", "macro_f1"]
    ranges = write_table(tmp_path / "lines.txt", "ba be")
    said = refused(*base, "--activation-ranges-of", ranges, "--output", tmp_path / "other")
    assert said == f"{ranges}: a line of it is 1 text, but the model reads 2 together: first, second."


def test_tables_of_two_columns_get_a_column_of_labels(labels: Served) -> None:
    predictor = Predictor(labels.onnx, truncate=True)
    frame = pandas.DataFrame(labels.pairs, columns=["first", "second"])
    want = [result.label for result in predictor.predict(labels.pairs)]
    assert predictor(frame)["label"].tolist() == want
    other = Predictor(labels.onnx, ["premise", "claim"], truncate=True)
    assert other(frame.rename(columns={"first": "premise", "second": "claim"}))["label"].tolist() == want


@pytest.mark.parametrize("kind", ["labels", "scores"])
def test_triton_gives_the_same_results(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    served = request.getfixturevalue(kind)
    export_triton(served.onnx, tmp_path / "models")
    schema = message_types()
    configuration = read_configuration(schema, tmp_path / "models" / "onnx")
    assert [(entry.name, entry.data_type) for entry in configuration.input] == [
        ("first", schema.TYPE_STRING),
        ("second", schema.TYPE_STRING),
    ]
    configuration.parameters["truncate"].string_value = "true"
    pairs, predictor = [*served.pairs, *ODD], Predictor(served.onnx, truncate=True)
    texts = dict(zip(("first", "second"), zip(*pairs, strict=True), strict=True))
    found = text_model_outputs(tmp_path / "models", configuration, texts)
    np.testing.assert_allclose(found.pop(predictor.head.row_name), predictor.rows(pairs), rtol=1e-5, atol=1e-5)
    labels = [result.label for result in predictor.predict(pairs)] if kind == "labels" else []
    assert [json.loads(row[0])["label"] for row in found.get("result", [])] == labels
