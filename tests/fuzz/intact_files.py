"""Makes a small intact file or directory of every kind that a command reads, in one directory."""

import gzip
import json
import random
import shlex
import shutil
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from comparison_rows import make_row
from fairseq_models import CONFIG, make_world
from focus_export.head import ServingHead
from focus_export.heads.classification import ClassificationHead
from focus_export.heads.pairs import PairsHead
from focus_export.heads.questions import QuestionsHead
from focus_export.heads.tagging import TaggingHead
from focus_export.predict_file import predict_file
from focus_export.runtime import Predictor
from focus_export.word_splitter import PLACES
from readers import COMPARE
from sandbox import focus
from vocabularies import train_on

from focus_plugin.checkpoint.release_state import release_state
from focus_plugin.comparison.rows import open_rows
from focus_plugin.finetuning.head_file import HEAD_FILE, write_head
from focus_plugin.vocabulary.files import DICTIONARY
from focus_plugin.vocabulary.readers import read_dictionary

LABELS = ("health", "sport", "world news")
TAGS = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
_DIMENSION = 8


def make_intact_files() -> None:
    """Write everything that the commands of ``readers.py`` read into the current directory."""
    root = Path()
    world = make_world(root)
    shutil.move(world.source, root / "release")
    (root / "vocab").mkdir()
    train_on(root / "valid.txt", 200, root / "vocab")
    _write_vectors(root)
    _write_tables(root)
    _write_models(root)
    _run(root)
    (root / "hf" / "focus.json").unlink(missing_ok=True)
    shutil.copy(root / "hf" / "tokenizer.json", root / "tokenizer.json")
    _write_unfinished()


def _run(root: Path) -> None:
    """The commands that make what other commands read."""
    text = ("--train", root / "valid.txt", "--valid", root / "valid.txt")
    _focus("prepare", "--vocab", root / "release", *text, "--output", root / "data")
    convert = ("convert", "--source", root / "release", "--vocab", root / "vocab")
    _focus(*convert, "--corpus", root / "valid.txt", "--dim", 8, "--output", root / "converted")
    vectors = ("auxiliary", "--corpus", root / "valid.txt", "--vocab", root / "vocab", "--dim", _DIMENSION)
    _focus(*vectors, "--output", root / "vectors.safetensors")
    _focus(*vectors, "--trainer", "fasttext", "--output", root / "vectors.bin")
    _focus("export", "--hf", "--model", root / "release", "--output", root / "hf")
    for name in ("topic", "pairs", "tags", "answers"):
        _focus("export", "--onnx", "--model", root / name, "--output", root / f"{name}.onnx")

    with pytest.raises(SystemExit):  # fairseq-train refuses this, after the start is converted
        focus(*shlex.split(COMPARE), "--recipe", "adapt", "-- --no-save", "--quiet")
    with open_rows(root / "comparison" / "rows.jsonl") as rows:
        rows.add(make_row(start="a", recipe="adapt", seed=1))


def _focus(*words: object) -> None:
    with pytest.raises(SystemExit) as end:
        focus(*words, "--quiet")
    assert not end.value.code, words


def _write_vectors(root: Path) -> None:
    """Vectors of tokens and of words as text, and a matrix."""
    draw = np.random.default_rng(1)
    tokens = read_dictionary(root / "vocab" / DICTIONARY).tokens
    for name, words in (("vectors.vec", tokens[4:-1]), ("words.vec", _words(root)[:300])):
        rows = (" ".join([word, *(f"{value:.4f}" for value in draw.normal(size=_DIMENSION))]) for word in words)
        (root / name).write_text("\n".join([f"{len(words)} {_DIMENSION}", *rows, ""]), encoding="utf-8")
    np.savez(root / "vectors.npz", vectors=draw.normal(size=(len(tokens), _DIMENSION)).astype(np.float32))


def _words(root: Path) -> list[str]:
    return sorted({*(root / "train.txt").read_text(encoding="utf-8").lower().replace(".", "").split()})


def _write_tables(root: Path) -> None:
    """Small tables of every task, a dictionary and parallel text."""
    draw, words = random.Random(3), _words(root)

    def text(length: int = 4) -> str:
        return " ".join(draw.choices(words, k=length))

    def lines(name: str, rows: list[str]) -> None:
        (root / name).write_text("\n".join([*rows, ""]), encoding="utf-8")

    lines("topic.tsv", ["label\ttext", *(f"{draw.choice(LABELS)}\t{text()}" for _ in range(12))])
    lines("pairs.tsv", ["label\tfirst\tsecond", *(f"{draw.choice(LABELS)}\t{text()}\t{text()}" for _ in range(12))])
    lines("similar.tsv", ["first\tsecond\tscore", *(f"{text()}\t{text()}\t{draw.random():.2f}" for _ in range(12))])
    tagged = [[(word, draw.choice(("O", "O", "B-PER", "B-LOC"))) for word in text().split()] for _ in range(8)]
    lines("tags.conll", ["\n".join(f"{word}\t{tag}" for word, tag in sentence) + "\n" for sentence in tagged])
    lines("tags.conllu", [_conllu(number, sentence) for number, sentence in enumerate(tagged)])
    columns = [{"tokens": [word for word, _ in row], "tags": [tag for _, tag in row]} for row in tagged[:4]]
    spans = [
        {"text": "ba bana", "spans": [[0, 2, "PER"]]},
        {"text": "go", "entities": [{"start": 0, "end": 2, "label": "LOC"}]},
    ]
    lines("tags.jsonl", [json.dumps(row) for row in (*columns, *spans)])
    contexts = [text(12) for _ in range(8)]
    answers = [{"text": [context.split()[0]], "answer_start": [0]} for context in contexts]
    asked = [
        {"id": str(number), "question": text(3), "context": context, "answers": answer}
        for number, (context, answer) in enumerate(zip(contexts, answers, strict=True))
    ]
    lines("answers.jsonl", [json.dumps(question) for question in asked])
    (root / "answers.json").write_text(json.dumps(_squad(asked)), encoding="utf-8")
    lines("dictionary.tsv", [f"{word}\t{draw.choice(words)}" for word in words[:80]])
    lines("parallel.tsv", [f"{text()}\t{text()}" for _ in range(40)])
    (root / "text.gz").write_bytes(gzip.compress((root / "valid.txt").read_bytes()))


def _conllu(number: int, sentence: list[tuple[str, str]]) -> str:
    rows = [
        "\t".join([str(place), word, "_", tag, "_", "_", str(place - 1), "dep", "_", "SpaceAfter=No"])
        for place, (word, tag) in enumerate(sentence, 1)
    ]
    return "\n".join([f"# sent_id = {number}", f"# text = {''.join(word for word, _ in sentence)}", *rows, ""])


def _squad(asked: list[dict]) -> dict[str, object]:
    paragraphs = [
        {
            "context": question["context"],
            "qas": [
                {
                    "id": question["id"],
                    "question": question["question"],
                    "answers": [{"text": question["answers"]["text"][0], "answer_start": 0}],
                }
            ],
        }
        for question in asked
    ]
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}


def _write_models(root: Path) -> None:
    """The encoder with a head of every task, with random weights."""
    width = CONFIG.width
    sequence = {"dense.weight": (width, width), "dense.bias": (width,)}
    labelled = {**sequence, "out_proj.weight": (3, width), "out_proj.bias": (3,)}
    _write_model(root, "topic", ClassificationHead(LABELS), "classification_heads.classification.", labelled)
    _write_model(root, "pairs", PairsHead(LABELS), "classification_heads.pairs.", labelled)
    tagging = TaggingHead(tags=TAGS, joined=("",) * len(PLACES), whole=())
    _write_model(root, "tags", tagging, "task_head.", {"tags.weight": (5, width), "tags.bias": (5,)})
    spans = {"spans.weight": (2, width), "spans.bias": (2,)}
    _write_model(root, "answers", QuestionsHead(window=40, stride=10), "task_head.", spans)


def _write_model(root: Path, name: str, head: ServingHead, prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    draw = torch.Generator().manual_seed(1)
    directory = Path(shutil.copytree(root / "release", root / name))
    tensors = torch.load(directory / "model.pt")["model"]
    tensors |= {f"{prefix}{part}": torch.randn(shape, generator=draw) for part, shape in shapes.items()}
    torch.save(release_state(CONFIG, tensors), directory / "model.pt")
    write_head(directory / HEAD_FILE, head, prefix)


def _write_unfinished() -> None:
    """What a run of predictions leaves that was interrupted."""
    predictor = Predictor("topic.onnx", token_budget=32)
    done = 0

    def progress(texts: int, size: int) -> None:
        nonlocal done
        done += texts
        if done > 200:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        predict_file(predictor, "train.txt", "out.jsonl", phase=lambda label, size: nullcontext(progress))
    assert Path("out.jsonl.unfinished").stat().st_size
