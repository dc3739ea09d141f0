"""The embedded sample: the same bytes for the same seed, and labels that fit their text."""

import json
from pathlib import Path

import pytest
from commands import run

from focus_plugin.finetuning.declaration import table_examples
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.text import Text

SAMPLE = Path(__file__).parents[2] / "sample"
FILES = {
    "swa.train.txt",
    "swa.valid.txt",
    "deu.train.txt",
    "deu.valid.txt",
    "topic.swa.train.tsv",
    "topic.swa.valid.tsv",
}
LABELLED = {f"{name}.swa.{split}" for name in ("tags", "pairs", "questions") for split in ("train", "valid")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    lines = ("--lines", "swa=200", "deu=200", "--labelled-lines", 100)
    for name in ("a", "b"):
        run("python", SAMPLE / "generate.py", "--output", folder / name, "--seed", 5, *lines)
    return folder


def test_generating_is_deterministic(made):
    files = sorted(path.name for path in (made / "a").iterdir())
    assert {name if name in FILES else name.rpartition(".")[0] for name in files} == FILES | LABELLED
    assert all((made / "a" / name).read_bytes() == (made / "b" / name).read_bytes() for name in files)


def test_validation_has_no_line_of_the_training_text(made):
    train, valid = ((made / "a" / f"swa.{split}.txt").read_text().splitlines() for split in ("train", "valid"))
    assert not set(train) & set(valid)


def test_names_are_entities(made):
    sentences = (made / "a" / "tags.swa.train.conll").read_text().strip().split("\n\n")
    assert len(sentences) == 100
    rows = [line.split(" ") for sentence in sentences for line in sentence.splitlines()]
    assert {tag for _, tag in rows} >= {"O", "B-PER", "B-LOC", "I-LOC"}
    tags = dict(rows)
    assert tags["Nairobi"] == "B-LOC"
    assert tags["."] == "O"


def test_answers_are_in_their_documents(made):
    rows = list(map(json.loads, (made / "a" / "questions.swa.train.jsonl").read_text().splitlines()))
    assert len(rows) == 100
    unanswered = 0
    for row in rows:
        texts, starts = row["answers"]["text"], row["answers"]["answer_start"]
        unanswered += not texts
        assert all(row["context"][at : at + len(text)] == text for text, at in zip(texts, starts, strict=True))
    assert 5 < unanswered < 40


@pytest.mark.parametrize(
    ("task", "tables"),
    [
        ("classification", "topic.swa.*.tsv"),
        ("tagging", "tags.swa.*.conll"),
        ("pairs", "pairs.swa.*.tsv"),
        ("questions", "questions.swa.*.jsonl"),
    ],
)
def test_the_tables_are_those_of_the_tasks(made, task, tables):
    """With a quarter as many examples for validation, of which none is in the training table."""
    declared = find_task(task)
    train, valid = (
        [example.sample for example in table_examples(declared, Text.of(path), declared.columns())]
        for path in sorted((made / "a").glob(tables))
    )
    assert len(valid) == len(train) // 4
    assert not {*map(str, train)} & {*map(str, valid)}


def test_all_labels_of_pairs_occur(made):
    header, *rows = (line.split("\t") for line in (made / "a" / "pairs.swa.train.tsv").read_text().splitlines())
    assert header == ["label", "first", "second"]
    assert {row[0] for row in rows} == {"entailment", "neutral", "contradiction"}
    assert all(first != second for _, first, second in rows)
