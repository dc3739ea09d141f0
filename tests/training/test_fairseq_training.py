"""Composed commands that train, are followed, stopped and evaluated."""

import dataclasses
import json
import math
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from commands import heed_interrupts
from fairseq import options
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.data import data_utils
from fairseq.tasks.masked_lm import MaskedLMConfig
from fairseq_models import CONFIG, USER_DIR, World, prepare_data

import focus_plugin.models.focus_roberta  # noqa: F401  registers what composed commands name
from focus_plugin.errors import FocusError
from focus_plugin.jobs.pretrain import masked_lm_task
from focus_plugin.manifest import describe, write_manifest
from focus_plugin.tasks.focus_masked_lm import FocusMaskedLMTask
from focus_plugin.tasks.masked_lm_criterion import FocusMaskedLMCriterion
from focus_plugin.training.checkpoints import BEST
from focus_plugin.training.commands import Schedule, Training, check_extra, train_command
from focus_plugin.training.log import TrainingStep
from focus_plugin.training.recipe import Recipe
from focus_plugin.training.resume import resumable
from focus_plugin.training.run import run_training

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(world: World) -> Path:
    return prepare_data(world, world.root / "data")


def _command(world: World, data: Path, save_dir: Path, updates: int, *extra: str) -> list[str]:
    return train_command(_training(world, data, updates, *extra), save_dir)


def _training(world: World, data: Path, updates: int, *extra: str, cpu: bool = True) -> Training:
    return Training(
        data=data,
        init=world.source / "model.pt",
        config=CONFIG,
        schedule=Schedule(updates=updates, recipe=Recipe(learning_rate=3e-3), validate_every=20),
        task=masked_lm_task(CONFIG, 1000, extra),
        cpu=cpu,
        extra=extra,
    )


def test_pretraining_lowers_the_loss(world: World, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the user's environment would have fairseq keep silent."""
    monkeypatch.setenv("LOGLEVEL", "ERROR")
    steps: list[TrainingStep] = []
    command = _command(world, data, tmp_path / "out", 40)
    run_training(command, tmp_path / "log", steps.append)
    assert [(step.update, step.updates) for step in steps if step.valid] == [(20, 40), (40, 40)]
    assert steps[0].update == 1
    assert (tmp_path / "log").read_text().count("| train_inner |") == 40
    losses = [step.loss for step in steps if step.valid]
    assert losses[1] < losses[0] < math.log(300), "below that of a guess"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_every_token_is_trained_and_validated_on(world: World, data: Path, tmp_path: Path) -> None:
    """One epoch reads each token once, with a <s> for each sample; the validation, each token that is masked."""
    length = CONFIG.max_positions
    run_training(_command(world, data, tmp_path, 100, "--max-epoch", "1"), tmp_path / "log", lambda step: None)
    assert (tmp_path / BEST).is_file(), "an epoch that is the last ends with a checkpoint"
    found = re.findall(r"\| train_inner \| (.*)", (tmp_path / "log").read_text())
    text = data_utils.load_indexed_dataset(str(data / "train"), None)
    tokens = int(text.sizes.sum())
    samples = -(-tokens // (length - 1))
    assert samples % 8, "else fairseq leaves out none by itself"
    assert sum(float(json.loads(line)["wpb"]) for line in found) == tokens + samples
    validated = json.loads(re.findall(r"\| valid \| (.*)", (tmp_path / "log").read_text())[-1])
    task = FocusMaskedLMTask.setup_task(MaskedLMConfig(data=str(data), tokens_per_sample=length, seed=1))
    task.load_dataset("valid")
    valid = task.dataset("valid")
    valid.set_epoch(1)
    assert int(float(validated["valid_predicted"])) == sum(
        int(valid[i]["target"].ne(1).sum()) for i in range(len(valid))
    )
    assert len(valid) % 8


def test_an_update_may_have_nothing_to_predict(world: World, tmp_path: Path) -> None:
    """Of a sample of one word often no token is masked."""
    (tmp_path / "words.txt").write_text("ba\n" * 50)
    prepare_data(dataclasses.replace(world, train=tmp_path / "words.txt"), tmp_path / "data")
    alone = ("--sample-break-mode", "eos", "--batch-size", "1", "--data-buffer-size", "0")
    steps: list[TrainingStep] = []
    run_training(_command(world, tmp_path / "data", tmp_path / "out", 20, *alone), tmp_path / "log", steps.append)
    trained = [step for step in steps if not step.valid]
    assert 0 < len(trained) < (tmp_path / "log").read_text().count("| train_inner |") == 20
    assert all(step.loss > 0 for step in trained)


def test_a_training_may_be_aborted_when_it_is_done(world: World, data: Path, tmp_path: Path) -> None:
    """As by fairseq's thread that reads ahead, in C++ when Python ends; not before its last update."""
    run_training(_command(world, data, tmp_path / "done", 2), tmp_path / "log", lambda step: None)
    program = "import os, shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2]); os.abort()"
    for updates in (2, 3):
        new = tmp_path / f"of {updates}"
        command = [sys.executable, "-c", program, str(tmp_path / "done"), str(new)]
        command += ["--max-update", str(updates), "--save-dir", str(new)]
        with nullcontext() if updates == 2 else pytest.raises(FocusError, match="stopped by signal 6"):
            run_training(command, tmp_path / "log", lambda step: None)


def test_a_training_without_a_best_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(FocusError, match=r"wrote no checkpoint_best\.pt"):
        run_training(["true", "--max-update", "2", "--save-dir", str(tmp_path)], tmp_path / "log", print)


def test_names_can_begin_with_a_dash(world: World) -> None:
    training = dataclasses.replace(
        _training(world, Path("-data"), 10), init=Path("-model.pt"), shards=(Path("-shard"),)
    )
    parsed = options.parse_args_and_arch(options.get_training_parser(), train_command(training, Path("-out"))[1:])
    assert parsed.data == "./-data:./-shard"
    assert (parsed.finetune_from_model, parsed.save_dir) == ("./-model.pt", "./-out")


@pytest.mark.parametrize(
    ("extra", "fp16", "bf16", "amp"),
    [
        ((), False, True, False),
        (("--fp16",), True, False, False),
        (("--bf16",), False, True, False),
        (("--amp",), False, False, True),
        (("--memory-efficient-fp16",), True, False, False),
    ],
)
def test_a_precision_after_two_dashes_is_the_only_one(
    world: World, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, ...], fp16: bool, bf16: bool, amp: bool
) -> None:
    """As fairseq parses the command; it refuses fp16 and bf16 together."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    check_extra(extra, cpu=False)
    command = train_command(_training(world, world.root, 10, *extra, cpu=False), world.root)
    parsed = options.parse_args_and_arch(options.get_training_parser(), command[1:])
    assert (parsed.fp16, parsed.bf16, parsed.amp) == (fp16, bf16, amp)
    assert CRITERION_REGISTRY[parsed.criterion] is FocusMaskedLMCriterion
    assert not parsed.cpu


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (("--save-dir", "X"), "--save-dir"),
        (("--dropout", "0.2", "--save-dir=X"), "--save-dir"),
        (("--save-d", "X"), "--save-dir"),
        (("--restore-file=X",), "--restore-file"),
        (("--finetune-from-model=X",), "--finetune-from-model"),
        (("--my-head", "X"), "--my-head-name"),
        (("--log-format", "simple"), "--log-format"),
        (("--disable-validation",), "--disable-validation"),
        (("--no-save",), "--no-save"),
        (("--fp16",), "--fp16 needs a GPU"),
    ],
)
def test_options_that_would_lose_the_training_are_refused(extra: tuple[str, ...], says: str) -> None:
    with pytest.raises(FocusError, match=f"^{says}"):
        check_extra(extra, cpu=True, refused={"--my-head-name": "the head has its name already"})


def test_samples_have_to_fit_on_a_device() -> None:
    with pytest.raises(FocusError, match="--device-tokens 50: a sample has 62 tokens"):
        masked_lm_task(CONFIG, 50)
    assert masked_lm_task(CONFIG, 50, ("--tokens-per-sample", "40")) == masked_lm_task(
        CONFIG, 50, ("--max-tokens", "70")
    )


def test_a_command_that_is_elsewhere_on_the_path_is_found(
    world: World, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip install --user puts commands into another directory than the interpreter's."""
    (tmp_path / "fairseq-train").write_text("#!/bin/sh\n")
    (tmp_path / "fairseq-train").chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    monkeypatch.setenv("PATH", str(data))
    with pytest.raises(FocusError, match="fairseq-train: no such command"):
        _command(world, data, tmp_path, 1)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _command(world, data, tmp_path, 1)[0] == str(tmp_path / "fairseq-train")


def test_extra_options_override(world: World, data: Path, tmp_path: Path) -> None:
    steps: list[TrainingStep] = []
    command = _command(world, data, tmp_path, 40, "--max-update", "3")
    run_training(command, tmp_path / "log", steps.append)
    assert (steps[-1].update, steps[-1].updates) == (3, 3)
    before = (tmp_path / "checkpoint_last.pt").read_bytes()
    again: list[TrainingStep] = []
    run_training(command, tmp_path / "log", again.append)
    assert again == [], "a training that is done makes no update more"
    assert (tmp_path / "checkpoint_last.pt").read_bytes() == before


def test_last_checkpoint_cut_off_by_a_kill_is_mended(world: World, data: Path, tmp_path: Path) -> None:
    run_training(_command(world, data, tmp_path, 22), tmp_path / "log", lambda step: None)
    last = tmp_path / "checkpoint_last.pt"
    last.write_bytes(last.read_bytes()[:10_000])
    steps: list[TrainingStep] = []
    run_training(_command(world, data, tmp_path, 24), tmp_path / "log", steps.append)
    assert [step.update for step in steps if not step.valid] == [23, 24], "the best checkpoint is of update 22"


def test_failure_tells_the_end_of_the_log(world: World, data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FocusError, match=r"fairseq-train failed; the whole log is in .*log.*\n(.*\n)*.*--no-such-option"
    ):
        run_training(_command(world, data, tmp_path, 2, "--no-such-option"), tmp_path / "log", print)


def test_two_trainings_in_one_place_are_refused(world: World, data: Path, tmp_path: Path) -> None:
    """Also before a first checkpoint, and where the first one's parent was killed, which fairseq-train survives."""
    place = tmp_path / "out.unfinished"
    later = ("--save-interval-updates", "1000000", "--validate-interval-updates", "1000000")
    command = [sys.executable, "-c", STOPPED, str(place / "log"), *_command(world, data, place, 100_000, *later)]
    environment = {**os.environ, "PYTHONPATH": f"{USER_DIR.parent}:{os.environ.get('PYTHONPATH', '')}"}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, preexec_fn=heed_interrupts, **quiet) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        _refused(place)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait(timeout=30)
    try:
        _refused(place)
    finally:
        for child in children:
            os.kill(int(child), signal.SIGKILL)
    assert (place / "log").exists()


def _refused(place: Path) -> None:
    assert not (place / "checkpoint_last.pt").exists()
    with pytest.raises(FocusError, match="still running here"), resumable(place, describe("another", {}, {})):
        pass


def test_a_place_without_a_checkpoint_is_made_new_and_given_back(tmp_path: Path) -> None:
    """As after a kill: focus.json of another job, and a lock that nobody holds."""
    place = tmp_path / "out.unfinished"
    place.mkdir()
    write_manifest(place, describe("one", {}, {}), {})
    (place / "log").touch()
    (tmp_path / "out.unfinished.lock").touch()
    with pytest.raises(KeyboardInterrupt), resumable(place, describe("another", {}, {})):
        raise KeyboardInterrupt
    assert [path.name for path in place.iterdir()] == ["focus.json"]
    with resumable(place, describe("another", {}, {})):
        assert (tmp_path / "out.unfinished.lock").exists()
    assert list(tmp_path.iterdir()) == []


STOPPED = """
import sys
from pathlib import Path
from focus_plugin.training.resume import resumable
from focus_plugin.manifest import describe
from focus_plugin.training.run import run_training
log = Path(sys.argv[1])
with resumable(log.parent, describe("one", {}, {})) as lock:
    run_training(sys.argv[2:], log, lambda step: print(step.update, flush=True), lock)
"""


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_stops_the_child(world: World, data: Path, tmp_path: Path, number: signal.Signals) -> None:
    place = tmp_path / "out.unfinished"
    command = [sys.executable, "-c", STOPPED, str(place / "log"), *_command(world, data, place, 100_000)]
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
