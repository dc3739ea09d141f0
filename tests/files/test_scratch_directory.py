"""Directories that are made whole or not at all, and what a killed process leaves of them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from focus_plugin.errors import FocusError
from focus_plugin.files import scratch_directory, whole_directory, whole_file

MAKER = """
import sys
from pathlib import Path
from focus_plugin.files import whole_directory
with whole_directory(Path(sys.argv[1])) as directory:
    (directory / "large").write_text("x")
    print("made", flush=True)
    sys.stdin.read()
"""


def _maker(output: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(output)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    return process


def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    maker = _maker(tmp_path / "output")
    os.kill(maker.pid, signal.SIGKILL)
    maker.wait()
    assert [path.name[:15] for path in tmp_path.iterdir()] == [".output.making-"]
    with whole_directory(tmp_path / "output") as directory:
        (directory / "small").write_text("y")
    assert [path.name for path in tmp_path.rglob("*")] == ["output", "small"]


def test_of_a_killed_file_nothing_is_left(tmp_path):
    killed = """
import os, signal, sys
from pathlib import Path
from focus_plugin.files import whole_file
with whole_file(Path(sys.argv[1])) as path:
    path.write_text("large")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", killed, str(tmp_path / "output.bin")])
    assert [path.suffix for path in tmp_path.rglob("output.bin")] == [".bin"], "under its name, in a directory"
    with whole_file(tmp_path / "output.bin") as path:
        path.write_text("small")
    assert [path.name for path in tmp_path.rglob("*")] == ["output.bin"]


def test_a_living_process_keeps_its_directory(tmp_path):
    maker = _maker(tmp_path / "output")
    with scratch_directory(tmp_path / "output"):
        assert len(list(tmp_path.iterdir())) == 2
    maker.communicate()
    assert [path.name for path in tmp_path.rglob("*")] == ["output", "large"]


def _make(output: Path, name: str) -> None:
    with whole_directory(output) as directory:
        (directory / name).touch()


def test_what_another_command_has_made_meanwhile_stays(tmp_path):
    says = "output: another command has made it in the meantime"
    with pytest.raises(FocusError, match=says), whole_directory(tmp_path / "output"):
        _make(tmp_path / "output", "theirs")
    assert [path.name for path in tmp_path.rglob("*")] == ["output", "theirs"]


def test_directories_of_other_outputs_and_of_the_user_are_left_alone(tmp_path):
    for name in (".other.making-abc", ".output.mine", "output.making-abc"):
        (tmp_path / name).mkdir()
    with whole_directory(tmp_path / "output"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".other.making-abc",
        ".output.mine",
        "output",
        "output.making-abc",
    ]
