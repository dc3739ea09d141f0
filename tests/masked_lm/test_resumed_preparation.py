"""A preparation that was interrupted resumes: what it has written is kept, and the files are the same in the end."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import heed_interrupts
from fairseq_models import World, make_world
from invoked import run

from focus_plugin.files import Progress, silent
from focus_plugin.masked_lm import data as masked_lm_data
from focus_plugin.masked_lm.data import prepare_masked_lm
from focus_plugin.text import Text

LINES = 240_000  # more than twice as many as are written before something is saved


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def long_text(world: World) -> Path:
    path, lines = world.root / "long.txt", world.train.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(f"{lines[i * 7 % len(lines)]}\n" for i in range(LINES)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(world: World, long_text: Path) -> dict[str, bytes]:
    return prepared(world, long_text, world.root / "whole")


def words(world: World, text: Path, output: Path) -> list[str]:
    given = {"--vocab": world.source, "--train": text, "--valid": world.valid, "--shards": 2, "--output": output}
    pairs = world.root / "pairs.tsv"
    pairs.write_text("Ba be.\tBi bo.\nDa de.\tDi do.\n", encoding="utf-8")
    given["--parallel"] = pairs
    return ["prepare", *(str(word) for pair in given.items() for word in pair)]


def prepared(world: World, text: Path, output: Path) -> dict[str, bytes]:
    run("focus", *words(world, text, output))
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def interrupt(world: World, text: Path, output: Path, number: signal.Signals) -> Path:
    """Send a signal to the command as soon as it has saved something; the directory that it leaves behind."""
    program = Path(sys.executable).with_name("focus")
    command = subprocess.Popen([program, *words(world, text, output)], preexec_fn=heed_interrupts)
    deadline = time.monotonic() + 120
    while not (saved := list(output.parent.glob(f".{output.name}.making-*/train.saved"))):
        assert command.poll() is None, "ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    command.send_signal(number)
    assert command.wait() != 0
    assert not output.exists()
    return saved[0].parent


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_has_been_written_is_not_encoded_again(world, long_text, whole, tmp_path, number):
    left = interrupt(world, long_text, tmp_path / "data", number)
    with open(left / "train.bin", "r+b") as file:
        mark = bytes(byte ^ 1 for byte in file.read(2))
        file.seek(0)
        file.write(mark)
    found = prepared(world, long_text, tmp_path / "data")
    assert found["train.bin"][:2] == mark, "or it was encoded again"
    found["train.bin"] = whole["train.bin"][:2] + found["train.bin"][2:]
    assert found == whole
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_another_command_has_written_is_not_used(world, long_text, tmp_path):
    left = interrupt(world, long_text, tmp_path / "data", signal.SIGKILL)
    other = tmp_path / "other.txt"
    other.write_text(world.train.read_text(encoding="utf-8") * 8, encoding="utf-8")
    found = prepared(world, other, tmp_path / "data")
    assert not left.exists()
    assert found == prepared(world, other, tmp_path / "again")


@dataclass(frozen=True)
class Interrupted:
    """A text that Ctrl-C stops after some lines."""

    text: Text
    after: int

    def lines(self, progress: Progress = silent) -> Iterator[str]:
        """The first lines."""
        for number, line in enumerate(self.text.lines(progress)):
            if number == self.after:
                raise KeyboardInterrupt
            yield line


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("stops", [(150,), (430,), (210, 500), (599, 599)])
def test_the_files_do_not_depend_on_interruptions(world, tmp_path, monkeypatch, shards, stops):
    monkeypatch.setattr(masked_lm_data, "SHARD_LINES", 50)  # of 600
    monkeypatch.setattr(masked_lm_data, "SAVED_BATCHES", 2)
    texts = {"valid": Text.of(world.valid), "train": Text.of(world.train)}
    results = []
    for name, interruptions in (("whole", ()), ("resumed", stops)):
        output = tmp_path / name
        output.mkdir()
        for stop in interruptions:
            with pytest.raises(KeyboardInterrupt):
                prepare_masked_lm(
                    world.source, {**texts, "train": Interrupted(texts["train"], stop)}, output, shards=shards
                )
        counts = prepare_masked_lm(world.source, texts, output, shards=shards)
        files = {path.relative_to(output): path.read_bytes() for path in output.rglob("*") if path.is_file()}
        results.append((counts, files))
    assert results[0] == results[1]
