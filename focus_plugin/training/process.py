"""Runs fairseq's commands as child processes, which end when this process ends."""

import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from focus_plugin.errors import FocusError

_TAIL_LINES = 8
_CHUNK = 1 << 16
_SECONDS_BETWEEN_LOOKS = 0.05
_LOST = ("Connection closed by peer", "Connection reset by peer", "remote process exited")  # of gloo and NCCL
# These set fairseq's log level, make it wait for a debugger, and make it join a training on several machines.
_STEERING = ("HOTRELOAD_PAUSE", "LOCAL_RANK", "LOGLEVEL", "MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE")
_SLURM = "SLURM_"  # the beginning of the names of Slurm's variables for the machines of a job


def command_path(name: str) -> str:
    """The path of one of fairseq's commands, beside this Python interpreter or else on the PATH."""
    path = Path(sysconfig.get_path("scripts")) / name
    found = str(path) if path.is_file() else shutil.which(name)
    if found is None:
        raise FocusError(f"{path}: no such command; training needs fairseq, which the extra 'train' installs.")
    return found


def environment() -> dict[str, str]:
    """The environment of fairseq's commands: that of this process, without variables that change what fairseq does."""
    kept = {name: value for name, value in os.environ.items() if name not in _STEERING and not name.startswith(_SLURM)}
    return {**kept, "PYTHONIOENCODING": "utf-8"}


def run_logged(command: Sequence[str], log: Path | None, *inherited: int) -> Iterator[str]:
    """Run a command that appends its output to ``log``, if there is one, and yield it line by line.

    The command itself writes the log, so the log is complete even if only this process is killed. ``inherited``: file
    descriptors that the command inherits. Raises FocusError if the command fails, with the end of its output.
    """
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with open(log, "a+b") if log else tempfile.TemporaryFile() as file:
        start = file.seek(0, os.SEEK_END)
        with _child(command, file, inherited) as process:
            for line in _appended(file.fileno(), start, process):
                if line.strip():
                    tail.append(line.rstrip())
                yield line.rstrip()
    if process.returncode:
        ours = tail[-1].partition("focus_plugin.errors.FocusError: ")[2] if tail else ""
        what = f"stopped by signal {-process.returncode}" if process.returncode < 0 else "failed"
        if any(lost in line for line in tail for lost in _LOST):
            raise FocusError(
                "The connection to another rank was lost: see what it says, then repeat the command for all of them."
            )
        where = f"the whole log is in {log}, and its end is" if log else "the end of its log is"
        raise FocusError(ours or f"{Path(command[0]).name} {what}; {where}:\n" + "\n".join(tail))


def _appended(descriptor: int, start: int, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines that a process appends to a file from the offset ``start`` on, until it ends."""
    rest, ended = b"", False
    while not ended:
        ended = process.poll() is not None
        while chunk := os.pread(descriptor, _CHUNK, start):
            start += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)
        if not ended:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    if rest:
        yield rest.decode("utf-8", "replace")


@contextmanager
def _child(command: Sequence[str], output: IO[bytes], inherited: Sequence[int]) -> Iterator[subprocess.Popen[bytes]]:
    """A child process. It is waited for at the end of the block, and terminated if the block is interrupted."""

    def stop(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if main else None
    process = subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=inherited,
    )
    try:
        yield process
        process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
