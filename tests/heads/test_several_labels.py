"""A classifier of several labels, from the table to everything that serves it, against transformers."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet
import pytest
import torch
from fairseq_models import make_world
from focus_export.runtime import Predictor
from invoked import focus, refused
from sklearn.metrics import f1_score, precision_recall_fscore_support
from text_model import text_model_outputs
from training_log import chosen_by
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from triton_schema import message_types, read_configuration

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.finetuning.head_file import read_kept_head
from focus_plugin.jobs.export_triton import export_triton

LABELS = ("early", "even")


@dataclass(frozen=True)
class Place:
    """A model, its exports, and the validation table as ones and zeros."""

    root: Path
    texts: list[str]
    expected: np.ndarray

    @property
    def counts(self) -> dict[str, float]:
        return json.loads((self.root / "model" / "focus.json").read_text())["counts"]

    @property
    def thresholds(self) -> list[float]:
        return json.loads((self.root / "model" / "head.json").read_text())["settings"]["thresholds"]

    def scores(self, texts: list[str]) -> np.ndarray:
        """The probabilities that transformers computes."""
        model = AutoModelForSequenceClassification.from_pretrained(self.root / "hf").eval()
        tokenizer = AutoTokenizer.from_pretrained(self.root / "hf")
        with torch.inference_mode():
            return (
                model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits.sigmoid().numpy()
            )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The labels say in which of two sets the first letter is; some texts have none."""
    root = tmp_path_factory.mktemp("several")
    world = make_world(root)
    texts = world.train.read_text(encoding="utf-8").splitlines()
    ones = np.array([[text[0] < "L", text[0] in "DGLNRTWZ"] for text in texts])
    cells = ["|".join(label for label, one in zip(LABELS, row, strict=True) if one) for row in ones]
    for name, part in (("train", slice(500)), ("valid", slice(500, None))):
        rows = [f"{cell}\t{text}\n" for cell, text in zip(cells[part], texts[part], strict=True)]
        (root / f"{name}.tsv").write_text("label\ttext\n" + "".join(rows), encoding="utf-8")
    tables = ("--train", root / "train.tsv", "--valid", root / "valid.tsv")
    several = ("--multi-label", "--label-separator", "|", "--class-weights", "balanced", "--label-smoothing", 0.05)
    how = ("--epochs", 4, "--batch-size", 16, "--lr", "3e-3", "--cpu", "--truncate", "--quiet")
    base = ("finetune", "classification", "--model", world.source)
    focus(*base, *tables, *several, *how, "--output", root / "model")
    for kind in ("onnx", "hf"):
        focus("export", f"--{kind}", "--model", root / "model", "--output", root / kind)
    return Place(root, texts[500:], ones[500:])


def test_metrics_are_those_of_the_thresholds(place: Place) -> None:
    assert place.counts["labels"] == list(LABELS)
    assert not (place.expected.any(1)).all()
    found = place.scores(place.texts) >= place.thresholds
    assert place.counts["valid_micro_f1"] == pytest.approx(f1_score(place.expected, found, average="micro"))
    assert place.counts["valid_macro_f1"] == pytest.approx(f1_score(place.expected, found, average="macro"))
    assert place.counts["valid_exact_match"] == pytest.approx((place.expected == found).all(1).mean())
    assert place.counts["valid_micro_f1"] > 0.85
    assert chosen_by(place.root / "model", "micro_f1")
    half = place.scores(place.texts) >= 0.5
    for label in range(2):
        assert f1_score(place.expected[:, label], found[:, label]) >= f1_score(place.expected[:, label], half[:, label])


def test_a_table_is_evaluated_in_pytorch_and_onnx(place: Place) -> None:
    names = ("micro_f1", "macro_f1", "exact_match")
    said = ", ".join(f"{name.replace('_', '-')} {place.counts[f'valid_{name}']:.3f}" for name in names)
    for kind in ("model", "onnx"):
        model = place.root / kind
        found = focus("evaluate", "--model", model, "--table", place.root / "valid.tsv", "--truncate", "--cpu")
        assert found.startswith(f"{model}: {said} on 100 samples. Always giving the commonest result: micro-f1 0.")


def test_the_page_counts_each_label_alone(place: Place, tmp_path: Path) -> None:
    files = ("--table", place.root / "valid.tsv", "--truncate", "--cpu", "--report", tmp_path / "page.html")
    focus("evaluate", "--model", place.root / "onnx", *files)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = place.scores(place.texts) >= place.thresholds
    for label, expected, predicted in zip(LABELS, place.expected.T, found.T, strict=True):
        counts = (expected.sum(), predicted.sum(), (expected & predicted).sum())
        cells = "".join(f'<td class="number">{cell}</td>' for cell in (*counts, *_shown_scores(expected, predicted)))
        assert f"<tr><td>{label}</td>{cells}</tr>" in page
    assert "Confusion of labels" not in page, "of sets of labels"


def _shown_scores(expected: np.ndarray, predicted: np.ndarray) -> list[str]:
    scores = precision_recall_fscore_support(expected, predicted, average="binary", zero_division=0)[:3]
    return [f"{score:.3f}" for score in scores]


def test_a_table_of_another_task(place: Place, tmp_path: Path) -> None:
    """The sentence says what the model is for, and no file is written."""
    (tmp_path / "t.conll").write_text("Ba B-PER\ngu O\n")
    for kind in ("model", "onnx"):
        model, files = place.root / kind, ("--errors", tmp_path / "errors.tsv", "--report", tmp_path / "page.html")
        said = refused("evaluate", "--model", model, "--table", tmp_path / "t.conll", "--cpu", *files)
        assert "t.conll, line 1: the header has no column 'label'" in said
        assert said.endswith(f"({model} is a model for classification.)")
    assert [path.name for path in tmp_path.iterdir()] == ["t.conll"]


def test_a_directory_for_transformers_is_not_evaluated(place: Place) -> None:
    said = refused("evaluate", "--model", place.root / "hf", "--table", place.root / "valid.tsv", "--cpu")
    assert "hf: has neither model.pt nor model.onnx; give a directory made by focus finetune or by focus export" in said


def test_the_thresholds_go_along(place: Place) -> None:
    for directory in ("onnx", "hf"):
        config = json.loads((place.root / directory / "config.json").read_text())
        assert config.get("settings", config)["thresholds"] == place.thresholds
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {"0": "early", "1": "even"}
    kept = read_kept_head(place.root / "model", read_checkpoint(place.root / "model"))
    assert kept.head.thresholds == tuple(place.thresholds) != (0.5, 0.5)


def test_triton_gives_the_same_labels(place: Place, tmp_path: Path) -> None:
    export_triton(place.root / "onnx", tmp_path / "models")
    configuration = read_configuration(message_types(), tmp_path / "models" / "onnx")
    configuration.parameters["truncate"].string_value = "true"
    found = text_model_outputs(tmp_path / "models", configuration, {"text": place.texts})
    predictor = Predictor(place.root / "onnx", truncate=True)
    np.testing.assert_allclose(found["scores"], predictor.rows(place.texts), atol=1e-5, rtol=0)
    results = list(predictor.predict(place.texts))
    assert [json.loads(row[0])["labels"] for row in found["result"]] == [list(result.labels) for result in results]
    assert len({result.labels for result in results}) > 2


@pytest.mark.parametrize("name", ["out.jsonl", "out.txt", "out.npy", "out.parquet"])
def test_predictions_in_every_format(place: Place, tmp_path: Path, name: str) -> None:
    texts = [*place.texts, "", "\t"]
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    how = ("--truncate", "--provider", "cpu", "--quiet")
    output = tmp_path / name
    focus("predict", "--model", place.root / "onnx", "--input", tmp_path / "texts.txt", *how, "--output", output)
    scores = place.scores(texts)
    chosen = [
        [label for label, one in zip(LABELS, row, strict=True) if one]
        for row in Predictor(place.root / "onnx", truncate=True).rows(texts) >= place.thresholds
    ]
    if name == "out.npy":
        np.testing.assert_allclose(np.load(output), scores, atol=1e-4, rtol=0)
        return
    if name == "out.txt":
        assert output.read_text(encoding="utf-8").splitlines() == ["|".join(labels) for labels in chosen]
        return
    if name == "out.jsonl":
        rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        found = [[row["scores"][label] for label in LABELS] for row in rows]
    else:
        table = pyarrow.parquet.read_table(output)
        assert json.loads(table.schema.metadata[b"labels"]) == list(LABELS)
        rows = table.to_pylist()
        found = [row["scores"] for row in rows]
    assert [row["labels"] for row in rows] == chosen
    np.testing.assert_allclose(found, scores, atol=1e-4, rtol=0)


def test_no_label_at_all_can_be_written_as_parquet(place: Place, tmp_path: Path) -> None:
    texts = [text for text, row in zip(place.texts, place.expected, strict=True) if not row.any()]
    predictor = Predictor(place.root / "onnx", truncate=True)
    text = next(text for text, result in zip(texts, predictor.predict(texts), strict=True) if not result.labels)
    (tmp_path / "texts.txt").write_text(f"{text}\n", encoding="utf-8")
    files = ("--input", tmp_path / "texts.txt", "--output", tmp_path / "out.parquet")
    focus("predict", "--model", place.root / "onnx", "--truncate", "--quiet", *files)
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["labels"].to_pylist() == [[]]


def test_tables_get_columns_of_lists(place: Place) -> None:
    predictor = Predictor(place.root / "onnx", truncate=True)
    frame = predictor(pandas.DataFrame({"text": place.texts}))
    assert frame["labels"].tolist() == [list(result.labels) for result in predictor.predict(place.texts)]
    assert frame["scores"][3].shape == (2,)
    halves = [text.split(" ", 1) for text in place.texts]
    columns = {"one": [half[0] for half in halves], "other": [half[1] for half in halves]}
    joined = Predictor(place.root / "onnx", ["one", "other"], truncate=True)(columns)
    assert joined["labels"].tolist() == frame["labels"].tolist()
