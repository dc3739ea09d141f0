"""Composed commands that train, are followed, stopped and evaluated."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import heed_interrupts
from fairseq.models.roberta import XLMRModel
from fairseq_models import CONFIG, USER_DIR, World, make_world

from focus_plugin.checkpoint.release_state import release_state
from focus_plugin.data import prepare_classification, prepare_masked_lm
from focus_plugin.errors import FocusError
from focus_plugin.finetuning import evaluate_classifier
from focus_plugin.training import (
    BEST,
    Schedule,
    TrainingStep,
    classification_command,
    masked_lm_command,
    masked_lm_loss,
    run_training,
)
from focus_plugin.trusted import trusted_globals


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors this small are slower on several threads."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def data(world: World) -> Path:
    data = world.root / "data"
    data.mkdir()
    prepare_masked_lm(world.source, world.train, world.valid, data)
    return data


def _command(world: World, data: Path, save_dir: Path, updates: int, *extra: str) -> list[str]:
    schedule = Schedule(updates, learning_rate=3e-3, validate_every=20)
    init = world.source / "model.pt"
    return masked_lm_command(data, init, save_dir, CONFIG, schedule, max_tokens=1000, cpu=True, extra=extra)


def test_pretraining_lowers_the_loss(world: World, data: Path, tmp_path: Path) -> None:
    steps: list[TrainingStep] = []
    command = _command(world, data, tmp_path / "out", 40)
    run_training(command, tmp_path / "log", steps.append)
    assert [(step.update, step.updates) for step in steps if step.valid] == [(20, 40), (40, 40)]
    assert steps[0].update == 1
    assert (tmp_path / "log").read_text().count("| train_inner |") == 40
    before, after, again = (
        masked_lm_loss(checkpoint, data, tmp_path / "log", tokens_per_sample=CONFIG.max_positions, cpu=True)
        for checkpoint in (world.source, tmp_path / "out" / BEST, tmp_path / "out" / BEST)
    )
    assert after.nats < before.nats - 0.3
    assert after == again
    assert after.predicted == before.predicted
    assert after.nats == pytest.approx(steps[-1].loss, abs=0.01)


def test_extra_options_override(world: World, data: Path, tmp_path: Path) -> None:
    steps: list[TrainingStep] = []
    run_training(_command(world, data, tmp_path, 40, "--max-update", "3"), tmp_path / "log", steps.append)
    assert (steps[-1].update, steps[-1].updates) == (3, 3)


def test_last_checkpoint_cut_off_by_a_kill_is_mended(world: World, data: Path, tmp_path: Path) -> None:
    run_training(_command(world, data, tmp_path, 22), tmp_path / "log", lambda step: None)
    last = tmp_path / "checkpoint_last.pt"
    last.write_bytes(last.read_bytes()[:10_000])
    steps: list[TrainingStep] = []
    run_training(_command(world, data, tmp_path, 24), tmp_path / "log", steps.append)
    assert [step.update for step in steps if not step.valid] == [21, 22, 23, 24]


def test_failure_tells_the_end_of_the_log(world: World, data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FocusError, match=r"fairseq-train failed; the whole log is in .*log.*\n(.*\n)*.*--no-such-option"
    ):
        run_training(_command(world, data, tmp_path, 2, "--no-such-option"), tmp_path / "log", print)


def test_two_trainings_in_one_place_are_refused(world: World, data: Path, tmp_path: Path) -> None:
    """Also where the first one's parent was killed, which fairseq-train survives."""
    command = [sys.executable, "-c", STOPPED, str(tmp_path / "log"), *_command(world, data, tmp_path, 100_000)]
    environment = {**os.environ, "PYTHONPATH": f"{USER_DIR.parent}:{os.environ.get('PYTHONPATH', '')}"}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, preexec_fn=heed_interrupts, **quiet) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait(timeout=30)
    try:
        with pytest.raises(FocusError, match="still running here"):
            run_training(_command(world, data, tmp_path, 2), tmp_path / "log", print)
    finally:
        for child in children:
            os.kill(int(child), signal.SIGKILL)


STOPPED = """
import sys
from pathlib import Path
from focus_plugin.training import run_training
run_training(sys.argv[2:], Path(sys.argv[1]), lambda step: print(step.update, flush=True))
"""


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_stops_the_child(world: World, data: Path, tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", STOPPED, str(tmp_path / "log"), *_command(world, data, tmp_path, 100_000)]
    environment = {**os.environ, "PYTHONPATH": f"{USER_DIR.parent}:{os.environ.get('PYTHONPATH', '')}"}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, preexec_fn=heed_interrupts, **quiet) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(number)
        process.wait(timeout=30)
    assert process.returncode != 0
    assert children
    deadline = time.monotonic() + 10
    while any(_alive(int(child)) for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(int(child)) for child in children)


def test_classifier_learns_and_is_loaded_by_stock_fairseq(world: World, tmp_path: Path) -> None:
    """The first word tells the label; the release made of the best checkpoint predicts what was evaluated."""
    train, valid, data = tmp_path / "train.tsv", tmp_path / "valid.tsv", tmp_path / "data"
    lines = world.train.read_text(encoding="utf-8").splitlines()
    rows = [f"{'high' if line[0] < 'M' else 'low'}\t{line}\n" for line in lines]
    train.write_text("label\ttext\n" + "".join(rows[:500]), encoding="utf-8")
    valid.write_text("label\ttext\n" + "".join(rows[500:]), encoding="utf-8")
    data.mkdir()
    counts = prepare_classification(world.source, train, valid, data, max_positions=CONFIG.max_positions, truncate=True)
    command = classification_command(
        data,
        world.source / "model.pt",
        tmp_path / "out",
        CONFIG,
        Schedule(100, learning_rate=3e-3, validate_every=25),
        head="topic",
        classes=len(counts.labels),
        batch_size=16,
        cpu=True,
    )
    run_training(command, tmp_path / "log", lambda step: None)
    evaluation = evaluate_classifier(tmp_path / "out" / BEST, data, "topic")
    assert evaluation.expected == tuple(row.split("\t")[0] for row in rows[500:])
    assert evaluation.accuracy > 0.75
    assert evaluation.accuracy >= evaluation.macro_f1 - 0.05
    with trusted_globals():
        tensors = torch.load(tmp_path / "out" / BEST)["model"]
    torch.save(release_state(CONFIG, tensors), world.source / "topic.pt")
    model = XLMRModel.from_pretrained(str(world.source), "topic.pt").eval()
    classes = [int(model.predict("topic", model.encode(row.split("\t")[1].strip())).argmax()) for row in rows[500:520]]
    assert tuple(counts.labels[i] for i in classes) == evaluation.predicted[:20]
