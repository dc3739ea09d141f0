"""A task of another package with a head, a loss and a criterion of its own, from its tables to its results."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import wait_for_group
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq_models import CONFIG, make_world
from focus_export.heads.embedding import EmbeddingHead
from focus_export.tokenizer import RowTokens, TokenizerFile, text_tokenizer
from invoked import focus
from piece_kinds import OVERLAP, PieceKinds

import focus_plugin.models.focus_roberta  # registers an architecture, as the next registers a task
import focus_plugin.tasks.focus_masked_lm  # noqa: F401
from focus_plugin.checkpoint.forward import hidden_states
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release_state import fairseq_shape
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.head_file import write_head
from focus_plugin.finetuning.options import TableEvaluation
from focus_plugin.jobs.evaluate_table import evaluate_table
from focus_plugin.optimization.groups import grouped
from focus_plugin.tasks import focus_heads
from focus_plugin.tasks.focus_heads import FocusHeadsConfig, FocusHeadsTask
from focus_plugin.vocabulary.tokenizers import load_tokenizer, piece_ids

ENTRY_POINTS = """
[focus_fairseq.heads]
piece_kinds = piece_kinds_training:HEAD
[focus_fairseq.serving_heads]
piece_kinds = piece_kinds:HEAD
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A package with the task, an encoder, and tables in which a, e and i are heavy, but for errors.

    A text is three lines, so that some are longer than the encoder reads and are cut into several rows.
    """
    root = tmp_path_factory.mktemp("own")
    information = root / "kinds-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: kinds\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    world = make_world(root)
    lines = world.train.read_text(encoding="utf-8").splitlines()
    texts = [" ".join(lines[i : i + 3]) for i in range(0, len(lines), 3)]
    draw = random.Random(1)
    rows = [
        "".join("h" if (sign in "aei") != (draw.random() < 0.05) else "l" for sign in text) + f"\t{text}\n"
        for text in texts
    ]
    for name, part in (("train", rows[:150]), ("valid", rows[150:180]), ("test", rows[180:])):
        (root / f"{name}.tsv").write_text("kinds\ttext\n" + "".join(part), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        patch.setenv("PYTHONPATH", f"{root}{os.pathsep}{Path(__file__).parents[1] / 'support'}")
        yield root


def _finetune(place: Path, name: str) -> list[object]:
    tables = [word for split in ("train", "valid", "test") for word in (f"--{split}", place / f"{split}.tsv")]
    how = ("--epochs", 4, "--batch-size", 8, "--lr", "3e-3", "--cpu")
    return ["finetune", "piece_kinds", "--model", place / "source", *tables, *how, "--output", place / name]


@pytest.fixture(scope="module")
def trained(place: Path) -> Path:
    """The model of a training that was killed after its first checkpoint and resumed."""
    command = [str(Path(sys.executable).parent / "focus"), *map(str, _finetune(place, "killed"))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    last, deadline = place / "killed.unfinished" / "checkpoint_last.pt", time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    wait_for_group(process.pid)
    said = focus(*_finetune(place, "killed"))
    assert re.search(
        r"killed: accuracy 0\.9\d+ on 30 validation samples\.\n.*killed: accuracy 0\.9\d+ on 20 test", said
    )
    return place / "killed"


def _counts(model: Path) -> dict[str, object]:
    return json.loads((model / "focus.json").read_text())["counts"]


def test_the_head_is_kept_by_a_kill_and_in_the_release(place: Path, trained: Path) -> None:
    """The killed and resumed training made the bytes of one that ran through."""
    log = (trained / "train.log").read_text()
    assert int(re.search(r"Loaded checkpoint .*checkpoint_last.pt \(epoch \d+ @ (\d+) updates\)", log)[1]) > 0
    assert len(set(re.findall(r'"valid_accuracy": "([\d.]+)"', log))) > 1
    focus(*_finetune(place, "whole"))
    assert (trained / "model.pt").read_bytes() == (place / "whole" / "model.pt").read_bytes()
    tensors = torch.load(trained / "model.pt")["model"]
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items() if name.startswith("task_head.")} == {
        "task_head.kinds.weight": (2, CONFIG.width),
        "task_head.kinds.bias": (2,),
    }
    assert _counts(trained)["rows"]["valid"] > 30
    assert (trained / "note.txt").read_text() == "nothing was left out\n"
    assert 0.9 < json.loads((trained / "head.json").read_text())["settings"]["margin"] < 1


def _expected(model: Path, texts: list[str]) -> list[list[tuple[int, int, str]]]:
    """Start, end and kind of every piece, computed one row at a time from the tensors of the release."""
    checkpoint, file = read_checkpoint(model), model / "sentencepiece.bpe.model"
    ids = piece_ids(load_tokenizer(file), checkpoint.vocabulary)
    tokens = RowTokens(bos=0, eos=2, unk=3, max_positions=CONFIG.max_positions)
    tokenizer = text_tokenizer(TokenizerFile(path=file, content=file.read_bytes(), piece_ids=ids), tokens)
    margin = json.loads((model / "head.json").read_text())["settings"]["margin"]
    weight, bias = (checkpoint.task_heads[f"task_head.kinds.{kind}"] for kind in ("weight", "bias"))
    room, found = CONFIG.max_positions - 2, []
    for text in texts:
        pieces = tokenizer.pieces(text)
        best = np.zeros(len(pieces.ids), int)
        for start in range(0, max(1, len(pieces.ids) - OVERLAP), room - OVERLAP):
            row = torch.tensor([[0, *pieces.ids[start : start + room].tolist(), 2]])
            scores = hidden_states(checkpoint.config, checkpoint.tensors, row)[0, 1:-1] @ weight.T + bias
            first = OVERLAP // 2 if start else 0
            best[start + first : start + len(scores)] = (scores[:, 1] - scores[:, 0] > margin)[first:]
        kinds = [("heavy", "light")[number] for number in best]
        found.append(list(zip(pieces.starts.tolist(), pieces.ends.tolist(), kinds, strict=True)))
    return found


def test_what_is_served_and_evaluated_is_what_the_tensors_say(place: Path, trained: Path) -> None:
    kinds, texts = zip(*(line.split("\t") for line in (place / "test.tsv").read_text().splitlines()[1:]), strict=True)
    want = _expected(trained, list(texts))
    pairs = [
        (kind[0], marks[max(end - 1, 0)]) for marks, pieces in zip(kinds, want, strict=True) for _, end, kind in pieces
    ]
    accuracy = sum(one == other for one, other in pairs) / len(pairs)
    assert max(map(len, want)) > CONFIG.max_positions
    assert _counts(trained)["test_accuracy"] == pytest.approx(accuracy)
    onnx, lines, output = place / "kinds.onnx", place / "texts.txt", place / "out.jsonl"
    focus("export", "--onnx", "--model", trained, "--output", onnx)
    for model in (trained, onnx):
        said = focus("evaluate", "--model", model, "--table", place / "test.tsv", "--cpu")
        assert said == f"{model}: accuracy {accuracy:.3f} on 20 samples.\n"
    lines.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    focus("predict", "--model", onnx, "--input", lines, "--output", output)
    found = [json.loads(line)["pieces"] for line in output.read_text(encoding="utf-8").splitlines()]
    assert [[(piece["start"], piece["end"], piece["kind"]) for piece in pieces] for pieces in found] == want


def test_a_head_of_another_shape_is_told(place: Path, trained: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(trained, tmp_path / "model"))
    head = json.loads((model / "head.json").read_text())
    head["settings"]["kinds"].append("odd")
    (model / "head.json").write_text(json.dumps(head))
    with pytest.raises(FocusError, match=r"model\.pt: does not fit the head of piece_kinds .*size mismatch"):
        evaluate_table(TableEvaluation(model=model, table=(place / "test.tsv",)))


def test_a_task_without_a_loss_is_refused_by_the_task_for_heads(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(place / "source" / "dict.txt", tmp_path)
    write_head(tmp_path / "head.json", EmbeddingHead("mean"), "")
    with_none = replace(find_task("embedding"), finetuning=None)
    monkeypatch.setattr(focus_heads, "find_task", lambda name: with_none)
    with pytest.raises(FocusError, match=r"head\.json: the task embedding declares no loss"):
        FocusHeadsTask(FocusHeadsConfig(data=str(tmp_path)))


def test_a_checkpoint_gives_a_model_the_head_that_fits_it(place: Path, trained: Path, tmp_path: Path) -> None:
    """That of an encoder, or of another head, leaves the head as it was drawn; a model without one takes the rest."""
    shutil.copy(place / "source" / "dict.txt", tmp_path)
    write_head(tmp_path / "head.json", PieceKinds(("heavy", "light")), "task_head.")
    source, theirs = (torch.load(path / "model.pt")["model"] for path in (place / "source", trained))
    wider = {**source, "task_head.kinds.weight": torch.ones(3, CONFIG.width), "task_head.kinds.bias": torch.ones(3)}
    drawn = _model(tmp_path, "focus_heads").state_dict()
    for state, wanted in ((source, drawn), (wider, drawn), (theirs, theirs)):
        model = _model(tmp_path, "focus_heads")
        model.load_state_dict(dict(state))
        for name, tensor in model.state_dict().items():
            want = wanted[name] if name.startswith("task_head.") else state.get(name)
            assert want is None or torch.equal(tensor, want), name
    assert len(grouped(model.parameters())) == 3, "focus_adam knows how to train every parameter"
    model = _model(tmp_path, "focus_masked_lm")
    model.load_state_dict(dict(theirs))
    model.register_classification_head("topic", num_classes=3)
    assert len(grouped(model.parameters())) == 3
    assert torch.equal(model.state_dict()["encoder.lm_head.bias"], theirs["encoder.lm_head.bias"])


def _model(data: Path, task: str) -> torch.nn.Module:
    """The model that fairseq-train builds for a task."""
    shape = fairseq_shape(CONFIG)
    words = [str(data), "--task", task, "--arch", "focus_roberta", "--cpu", "--cpu-precision", "float32"]
    words += [word for name, size in shape.items() if size for word in (f"--{name.replace('_', '-')}", str(size))]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
    return tasks.setup_task(cfg.task).build_model(cfg.model)
