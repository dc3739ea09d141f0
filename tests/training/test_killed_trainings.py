"""What SIGKILL leaves of a training, at whatever step it comes, and that the same command cleans it up."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run as run_program
from fairseq_models import World
from invoked import run

from focus_plugin.manifest import describe, manifest_of
from focus_plugin.outputs import make_directory
from focus_plugin.training.resume import State, remove_leftovers, resumable, unfinished_directory, unfinished_state

CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir"}
KILLED_BEFORE_REMOVAL = """
import os, signal, sys

def kill(event, arguments):
    if event == "os.rename" and str(arguments[0]).endswith(".unfinished"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
from focus_cli.main import main
main()
"""


def _job(output: Path) -> None:
    """The steps of a training around fairseq-train, with a few files in the place of checkpoints."""
    manifest, directory = describe("thing", {}, {}), unfinished_directory(output)

    def build(release: Path) -> dict[str, object]:
        (release / "model").write_bytes((directory / "checkpoint").read_bytes())
        return {}

    if (output / "focus.json").exists():
        remove_leftovers(directory, manifest)
    else:
        with resumable(directory, manifest):
            (directory / "data").mkdir(exist_ok=True)
            for name in ("checkpoint", "data/train"):
                (directory / name).write_text(name)
            make_directory(output, manifest, build)


def _in_child(work: Callable[[], object], kill_at: int | None = None) -> int:
    """Do ``work`` in a process of its own that SIGKILL ends before its ``kill_at``-th change of the file system."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    changes = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal changes
        if event in CHANGES or (event == "open" and arguments[1] in ("w", "a")):
            changes += 1
            if changes == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    try:
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


def test_a_kill_at_any_step_is_cleaned_up(tmp_path: Path) -> None:
    step, killed = 1, True
    while killed:
        place = tmp_path / str(step)
        place.mkdir()
        killed = _in_child(lambda: _job(place / "out"), kill_at=step) == -signal.SIGKILL  # noqa: B023
        assert _in_child(lambda: _job(place / "out")) == 0  # noqa: B023
        assert _in_child(lambda: _job(place / "out")) == 0  # noqa: B023
        assert [path.name for path in place.iterdir()] == ["out"], f"killed at step {step}"
        assert (place / "out" / "model").read_text() == "checkpoint"
        step += 1
    assert step > 20


def test_what_is_another_jobs_or_in_use_stays(tmp_path: Path) -> None:
    directory, manifest = tmp_path / "out.unfinished", describe("thing", {}, {})
    with pytest.raises(KeyboardInterrupt), resumable(directory, manifest):
        raise KeyboardInterrupt
    assert unfinished_state(directory, manifest) is State.INTERRUPTED
    with resumable(directory, manifest):
        assert unfinished_state(directory, manifest) is State.RUNNING
        remove_leftovers(directory, manifest)
        assert (directory / "focus.json").exists()
        remove_leftovers(directory, describe("another", {}, {}))
        assert (tmp_path / "out.unfinished.lock").exists()
    directory.mkdir()
    (directory / "mine").touch()
    remove_leftovers(directory, manifest)
    assert [path.name for path in tmp_path.rglob("*")] == ["out.unfinished", "mine"]


def test_a_kill_between_a_release_and_the_end(world: World, tmp_path: Path) -> None:
    data, output, left = tmp_path / "data", tmp_path / "out", tmp_path / "out.unfinished"
    run("focus", "prepare", "--vocab", world.source, "--train", world.train, "--valid", world.valid, "--output", data)
    short = ("--updates", 2, "--batch-tokens", 512, "--device-tokens", 512, "--cpu")
    train = ("train", data, "--init", world.source, "--output", output, *short)
    killed = run_program("python", "-c", KILLED_BEFORE_REMOVAL, *train, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert {"out", "out.unfinished", "out.unfinished.lock"} < {path.name for path in tmp_path.iterdir()}
    before = manifest_of(output)
    inspected = run("focus", "inspect", left).stdout.splitlines()[0]
    assert inspected.endswith("left by a run that was killed when it was done; the same command removes it")
    assert "fairseq-train" not in run("focus", *train).stdout
    assert {path.name for path in tmp_path.iterdir()} == {"data", "out"}
    assert manifest_of(output) == before
