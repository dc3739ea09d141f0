"""Questions: from a file of them to a model, its scores and its answers, whichever program computes them."""

import gzip
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import squad_script
import torch
from fairseq_models import make_world
from focus_export.runtime import Predictor
from invoked import focus, refused
from prepared_tables import prepared_tables
from text_model import text_model_outputs
from training_log import chosen_by
from transformers import AutoModelForQuestionAnswering, AutoTokenizer
from triton_schema import message_types, read_configuration

from focus_plugin.checkpoint.forward import hidden_states
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.samples import TrainingSamples
from focus_plugin.heads.questions import HEAD
from focus_plugin.jobs.export_triton import export_triton

NAMES = ("Wuwu", "Vovo wuwu", "Zaza")  # of which each context that has an answer has one
SPACES = (" ", " ", " ", "\u00a0", "  ", "\r\n")


def _question(number: int, draw: random.Random, words: list[str]) -> dict[str, Any]:
    """A question whose answer is the only name in its context; a fourth of the contexts have none."""
    before, after = (draw.choices(words, k=draw.randint(0, 35)) for _ in range(2))
    name = draw.choice(NAMES) if draw.random() < 0.75 else ""
    context, start = "", 0
    for word in (*before, name, *after):
        if word:
            context += draw.choice(SPACES) if context else ""
            start = len(context) if word == name else start
            context += word
    answers = {"text": [name], "answer_start": [start]} if name else {"text": [], "answer_start": []}
    return {"id": f"q{number}", "question": " ".join(draw.choices(words, k=3)), "context": context, "answers": answers}


def _write(path: Path, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    path.write_text("".join(f"{json.dumps(question)}\n" for question in questions), encoding="utf-8")
    return questions


@dataclass(frozen=True)
class Trained:
    """root: with an encoder, tables and the fine-tuned model ``answers``. test: the questions of ``test.jsonl``."""

    root: Path
    test: list[dict[str, Any]]
    said: str

    @property
    def model(self) -> Path:
        return self.root / "answers"

    @property
    def golds(self) -> dict[str, list[str]]:
        return {question["id"]: question["answers"]["text"] for question in self.test}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("questions")
    world = make_world(root)
    draw, words = random.Random(4), world.valid.read_text(encoding="utf-8").lower().replace(".", "").split()
    found = [_question(number, draw, words) for number in range(330)]
    for misplaced in (found[3], found[230]):
        misplaced["answers"] = {"text": ["Wuwu", "ba"], "answer_start": [10_000]}
    found[5] |= {"context": "Wuwu ba.", "answers": {"text": ["Zaza", "Wuwu"], "answer_start": [0, 0]}}
    _write(root / "train.jsonl", found[:230])
    _write(root / "valid.jsonl", found[230:280])
    test = _write(root / "test.jsonl", found[280:])
    tables = [word for split in ("train", "valid", "test") for word in (f"--{split}", root / f"{split}.jsonl")]
    how = ("--epochs", 4, "--batch-size", 8, "--lr", "3e-3", "--window", 48, "--stride", 12, "--cpu")
    said = focus(
        *("finetune", "questions", "--model", world.source, *tables, *how, "--longest-answer", 12, "--n-best", 3),
        *("--output", root / "answers"),
    )
    return Trained(root, test, said)


@pytest.fixture(scope="module")
def onnx(trained: Trained) -> Path:
    focus("export", "--onnx", "--model", trained.model, "--output", trained.root / "answers.onnx")
    return trained.root / "answers.onnx"


@pytest.fixture(scope="module")
def predicted(trained: Trained, onnx: Path) -> list[dict[str, Any]]:
    focus("predict", "--model", onnx, "--input", trained.root / "test.jsonl", "--output", trained.root / "out.jsonl")
    return [json.loads(line) for line in (trained.root / "out.jsonl").read_text(encoding="utf-8").splitlines()]


def _counts(model: Path) -> Mapping[str, Any]:
    return json.loads((model / "focus.json").read_text())["counts"]


def test_it_learns_and_says_what_the_official_script_says(trained: Trained, predicted: list[dict[str, Any]]) -> None:
    counts = _counts(trained.model)
    scores = squad_script.scores(trained.golds, {answer["id"]: answer["answer"] for answer in predicted})
    assert {name: counts[f"test_{name}"] for name in scores} == pytest.approx(scores)
    assert scores["f1"] > 0.5, "that of answering no question is below 0.3"
    assert chosen_by(trained.model, "f1")
    assert f"f1 {scores['f1']:.3f}, exact-match {scores['exact_match']:.3f}" in trained.said
    has = {name: answers for name, answers in trained.golds.items() if answers}
    found = {answer["id"]: answer["answer"] for answer in predicted}
    assert counts["test_f1_with_answer"] == pytest.approx(squad_script.scores(has, found)["f1"])


def test_the_official_script_reads_the_answers(
    trained: Trained, onnx: Path, predicted: list[dict[str, Any]], tmp_path: Path
) -> None:
    job = ("predict", "--model", onnx, "--input", trained.root / "test.jsonl")
    focus(*job, "--format", "squad", "--output", tmp_path / "answers.json")
    focus(*job, "--format", "squad-na", "--output", tmp_path / "na.json.gz")
    answers = json.loads((tmp_path / "answers.json").read_text(encoding="utf-8"))
    assert answers == {answer["id"]: answer["answer"] for answer in predicted}
    assert focus(*job, "--format", "squad", "--output", "-").startswith('{\n"')
    probabilities = json.loads(gzip.decompress((tmp_path / "na.json.gz").read_bytes()))
    scores = {answer["id"]: answer["no_answer_score"] for answer in predicted}
    assert sorted(probabilities, key=probabilities.get) == sorted(scores, key=scores.get)
    assert all((probabilities[name] > 0.5) == (score > 0) for name, score in scores.items())
    nameless = tmp_path / "q.jsonl"
    line = '{"question": "Wuwu?", "context": "Wuwu ba."}'
    nameless.write_text(line.replace("}", ', "id": "a"}') + f"\n{line}\n")
    told = refused("predict", "--model", onnx, "--input", nameless, "--format", "squad", "--output", tmp_path / "x")
    assert told.startswith(f'{nameless}, line 2: has no "id"')
    assert not (tmp_path / "x").exists()


def test_answers_that_do_not_fit_are_listed_and_left_out(trained: Trained) -> None:
    listed = [json.loads(line) for line in (trained.model / "left_out.jsonl").read_text().splitlines()]
    assert [
        (entry["table"], entry["line"], entry["id"], entry["answer"], entry["answer_start"]) for entry in listed
    ] == [
        ("train", 4, "q3", "Wuwu", 10_000),
        ("train", 4, "q3", "ba", None),
        ("train", 6, "q5", "Zaza", 0),
        ("valid", 1, "q230", "Wuwu", 10_000),
        ("valid", 1, "q230", "ba", None),
    ]
    asked = _counts(trained.model)["questions"]
    assert [(asked[split]["questions"], asked[split]["left_out"]) for split in asked] == [(230, 1), (50, 1), (50, 0)]
    assert _counts(trained.model)["windows"]["train"] > 300
    assert "Warning: train: 3 answers are not at their place in the context; left_out.jsonl in the" in trained.said
    assert "has them, and 1 of 230 questions are left out of training.\n" in trained.said
    how = ("--model", trained.root / "source", "--valid", trained.root / "valid.jsonl", "--strict", "--cpu")
    command = ("finetune", "questions", *how, "--train", trained.root / "train.jsonl", "--window", 48)
    said = refused(*command, "--output", trained.root / "strict")
    assert "train.jsonl, line 4, id 'q3': the context has '' at character 10000, not the answer 'Wuwu'" in said
    assert not list(trained.root.glob("strict*"))


def test_the_threshold_is_the_best_on_the_validation_questions(trained: Trained, onnx: Path) -> None:
    threshold = json.loads((trained.model / "head.json").read_text())["settings"]["no_answer_threshold"]
    assert json.loads((onnx / "config.json").read_text())["settings"]["no_answer_threshold"] == threshold
    questions = list(map(json.loads, (trained.root / "valid.jsonl").read_text().splitlines()))
    golds = {question["id"]: question["answers"]["text"] for question in questions}
    results = list(Predictor(onnx).predict((question["question"], question["context"]) for question in questions))
    best = {name: result.n_best[0].text for name, result in zip(golds, results, strict=True)}
    no_answer = {name: result.no_answer_score for name, result in zip(golds, results, strict=True)}
    assert _counts(trained.model)["valid_f1"] == pytest.approx(squad_script.best_f1(golds, best, no_answer))
    given = {name: "" if no_answer[name] > threshold else best[name] for name in best}
    assert given == {name: result.answer.text for name, result in zip(golds, results, strict=True)}


def test_pytorch_and_onnx_give_the_same_figures(trained: Trained, onnx: Path) -> None:
    told = [
        focus("evaluate", "--model", model, "--table", trained.root / "test.jsonl", "--cpu").partition(": ")[2]
        for model in (trained.model, onnx)
    ]
    assert told[0] == told[1]
    assert f"f1 {_counts(trained.model)['test_f1']:.3f}" in told[0]


def test_errors_are_listed(trained: Trained, predicted: list[dict[str, Any]], tmp_path: Path) -> None:
    """Those whose F1 is below 1, the worst first; a question or context can have several lines."""
    files = ("--errors", tmp_path / "errors.tsv", "--report", tmp_path / "report.html")
    focus("evaluate", "--model", trained.model, "--table", trained.root / "test.jsonl", "--cpu", *files)
    header, *rows = (line.split("\t") for line in (tmp_path / "errors.tsv").read_text(encoding="utf-8").splitlines())
    assert header == ["line", "expected", "predicted", "question", "context"]
    scores = {
        str(number): squad_script.scores({"q": golds}, {"q": answer["answer"]})["f1"]
        for number, (golds, answer) in enumerate(zip(trained.golds.values(), predicted, strict=True), 1)
    }
    assert [row[0] for row in rows] == sorted((line for line in scores if scores[line] < 1), key=scores.__getitem__)
    for line, expected, given, *_ in rows:
        assert given == " ".join((predicted[int(line) - 1]["answer"] or "(no answer)").split())
        assert expected == (trained.test[int(line) - 1]["answers"]["text"] or ["(no answer)"])[0]
    assert f"{len(rows)} of {len(rows)}" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_answers_are_written_with_their_places(
    trained: Trained, onnx: Path, predicted: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert [answer["line"] for answer in predicted] == list(range(1, 51))
    for question, answer in zip(trained.test, predicted, strict=True):
        assert question["id"] == answer["id"]
        for part in (answer, *answer["n_best"]):
            assert question["context"][part["start"] : part["end"]] == part["answer"]
        assert 0 < len(answer["n_best"]) <= 3
        assert sum(part["score"] for part in answer["n_best"]) <= 1 + 1e-9
    focus("predict", "--model", onnx, "--input", trained.root / "test.jsonl", "--output", tmp_path / "out.parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    for row, answer in zip(rows, predicted, strict=True):
        assert {name: row[name] for name in ("id", "answer", "start", "end")}.items() <= answer.items()
        assert [part["answer"] for part in row["n_best"]] == [part["answer"] for part in answer["n_best"]]
    table = {name: np.array([question[name] for question in trained.test]) for name in ("question", "context")}
    assert Predictor(onnx)(table)["answer"].tolist() == [answer["answer"] for answer in predicted]


def test_triton_gives_the_same_answers(
    trained: Trained, onnx: Path, predicted: list[dict[str, Any]], tmp_path: Path
) -> None:
    export_triton(onnx, tmp_path / "models")
    configuration = read_configuration(message_types(), tmp_path / "models" / "answers")
    texts = {name: [question[name] for question in trained.test] for name in ("question", "context", "id")}
    rows = text_model_outputs(tmp_path / "models", configuration, texts)["result"]
    for row, answer in zip(rows, predicted, strict=True):
        found = json.loads(row[0])
        assert {name: found[name] for name in ("id", "answer", "start", "end")}.items() <= answer.items()
        assert found["score"] == pytest.approx(answer["score"], abs=1e-4)
    del texts["id"]
    unnamed = text_model_outputs(tmp_path / "models", configuration, texts)["result"]
    assert [json.loads(row[0]) for row in unnamed] == [{**json.loads(row[0]), "id": None} for row in rows]


def test_options_of_the_answers_can_be_changed_in_an_export(trained: Trained, tmp_path: Path) -> None:
    words = ("--n-best", 1, "--longest-answer", 2, "--no-answer-threshold", "-1000")
    focus("export", "--onnx", "--model", trained.model, "--output", tmp_path / "out.onnx", *words)
    sample = (trained.test[0]["question"], trained.test[0]["context"])
    [result] = Predictor(tmp_path / "out.onnx").predict([sample])
    assert (result.answer.text, len(result.n_best)) == ("", 1)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_less_precision_is_judged_by_f1(trained: Trained, tmp_path: Path, precision: str) -> None:
    how = ("--precision", precision, "--valid", trained.root / "test.jsonl", "--max-loss", 0.5)
    said = focus("export", "--onnx", "--model", trained.model, "--output", tmp_path / "out", *how)
    assert f"f1 as {precision}" in said
    assert f"(fp32: {_counts(trained.model)['test_f1']:.3f})" in said


def test_transformers_loads_it_and_has_the_same_logits(trained: Trained, tmp_path: Path) -> None:
    focus("export", "--hf", "--model", trained.model, "--output", tmp_path / "hf")
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "hf").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    ours = read_checkpoint(trained.model)
    weight, bias = (ours.task_heads[f"task_head.spans.{kind}"] for kind in ("weight", "bias"))
    for question in trained.test[:5]:
        encoded = tokenizer(
            *(question["question"], question["context"]),
            truncation="only_second",
            max_length=48,
            stride=12,
            return_overflowing_tokens=True,
        )
        for row in encoded["input_ids"]:
            ids = torch.tensor([row])
            with torch.inference_mode():
                theirs = model(ids)
            want = hidden_states(ours.config, ours.tensors, ids)[0] @ weight.T + bias
            found = torch.stack([theirs.start_logits[0], theirs.end_logits[0]], 1)
            assert torch.allclose(found, want, atol=1e-4)


def test_odd_questions_are_answered_or_refused_with_their_line(trained: Trained, onnx: Path, tmp_path: Path) -> None:
    odd = [
        {"question": "Nani?", "context": ""},
        {"question": "", "context": "Zaza 😀\r\n\u0000e\u0301\u00a0ﬁ"},
        {"question": "Nani?", "context": "\u200b \u00a0"},
        {"question": "Nani?", "context": "ba zaza " * 400, "id": 7},
    ]
    _write(tmp_path / "odd.jsonl", odd)
    focus("predict", "--model", onnx, "--input", tmp_path / "odd.jsonl", "--output", tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    for question, answer in zip(odd, found, strict=True):
        for part in (answer, *answer["n_best"]):
            assert question["context"][part["start"] : part["end"]] == part["answer"]
    assert [answer["id"] for answer in found] == [None, None, None, "7"]
    for bad, message in (
        ('{"question": "Nani?"', "line 5: is not a JSON object"),
        ('{"question": "Nani?"}', 'line 5: has no string "context"'),
        (json.dumps({"question": "ba " * 100, "context": "ba"}), "line 5: the question 'ba ba ba"),
        (json.dumps({"question": "ba", "context": "\ud800"}), "line 5: is not valid Unicode"),
        (json.dumps({"question": "ba", "context": "ba", "id": "\ud800"}), "line 5: is not valid Unicode"),
    ):
        (tmp_path / "bad.jsonl").write_text((tmp_path / "odd.jsonl").read_text() + f"{bad}\n")
        files = ("--input", tmp_path / "bad.jsonl", "--output", tmp_path / "bad.out")
        assert f"bad.jsonl, {message}" in refused("predict", "--model", onnx, "--format", "jsonl", *files)


def test_questions_without_answers_are_not_trained_on_or_evaluated(trained: Trained, tmp_path: Path) -> None:
    asked = {"question": "Nani?", "context": "Zaza"}
    _write(tmp_path / "asked.jsonl", [asked])
    said = refused("evaluate", "--model", trained.model, "--table", tmp_path / "asked.jsonl", "--cpu")
    assert "asked.jsonl: has no expected results for questions" in said
    for table, message in (
        ([asked], "line 1: has no field of answers"),
        ([{**asked, "answers": {"text": ["Wuwu"], "answer_start": [0]}}], "no question has an answer that is at its"),
        ([{**asked, "answers": {"text": [], "answer_start": []}}], "no question has an answer that is at its"),
    ):
        _write(tmp_path / "train.jsonl", table)
        tables = ("--train", tmp_path / "train.jsonl", "--valid", trained.root / "valid.jsonl")
        model = ("--model", trained.root / "source", "--window", 48)
        said = refused("finetune", "questions", *model, *tables, "--cpu", "--output", tmp_path / "out")
        assert "train.jsonl" in said
        assert message in said


def test_rarer_questions_of_two_kinds_are_read_several_times(trained: Trained, tmp_path: Path) -> None:
    """Of the training table only; a question whose answers do not fit is of no kind."""
    answered = [
        {"question": "ba?", "context": "Wuwu ba.", "answers": {"text": ["Wuwu"], "answer_start": [start]}}
        for start in (0, 0, 0, 0, 0, 9)
    ]
    no_answers = {"text": [], "answer_start": []}
    unanswered = [{"question": f"{word}?", "context": "ba.", "answers": no_answers} for word in "ab"]
    _write(tmp_path / "both.jsonl", [*answered, *unanswered])
    _write(tmp_path / "answered.jsonl", answered)
    world, table = make_world(tmp_path), tmp_path / "both.jsonl"
    data, prepared = prepared_tables(HEAD, world, tmp_path, (table, table), class_sampling="balanced")
    assert prepared.samples == 5 + 2 * 2
    samples = TrainingSamples(data, "train", 1, seed=1)
    starts = [int(samples[number]["expected"][0]) for number in range(len(samples))]
    assert starts.count(0) == 2 * 2
    assert len(TrainingSamples(data, "valid", 1, seed=1)) == 5 + 2
    (other := tmp_path / "other").mkdir()
    with pytest.raises(FocusError, match=r"answered.jsonl: --class-sampling balanced needs questions"):
        prepared_tables(HEAD, world, other, (tmp_path / "answered.jsonl", table), class_sampling="balanced")
