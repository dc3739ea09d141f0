"""Runs a command in a forked child with limited memory and time, and says what it did wrong.

The parent has imported everything, so a child starts at once. The parent must not start threads.
"""

import importlib
import os
import pkgutil
import re
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import focus_cli
import focus_export
from focus_cli.main import main

import focus_plugin
from focus_plugin.manifest import installed_version

SECONDS = 60
MEMORY = 1 << 30  # bytes that a command may use for a small file
_ADDRESSES = 4 << 30  # more than MEMORY, since addresses that are reserved need no memory
_TRACEBACK = 70  # exit code of a child with an exception
_NOT_IMPORTED = re.compile(r"focus_plugin\.(tasks|models)\b|.*\.triton_model$")  # fairseq or Triton imports these
_LIBRARIES = (
    *("entmax", "fairseq.data.indexed_dataset", "fairseq.modules.quantization.scalar", "fasttext", "onnx"),
    *("onnxruntime", "pyarrow.parquet", "safetensors.numpy", "safetensors.torch", "scipy.sparse"),
    *("sentencepiece.sentencepiece_model_pb2", "sklearn.metrics", "tokenizers", "torch"),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended. code: negative if a signal ended it. memory: bytes that it used beyond those it had."""

    code: int
    said: str
    memory: int


def import_all() -> None:
    """Import what the commands import, so that no child has to."""
    for package in (focus_plugin, focus_export, focus_cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not _NOT_IMPORTED.match(module.name):
                importlib.import_module(module.name)
    for name in _LIBRARIES:
        importlib.import_module(name)
    installed_version("fairseq")  # remembers which distribution each module is from


def focus(*words: object) -> None:
    """Run the command ``focus`` in this process; it exits as the command does."""
    main.main(args=list(map(str, words)), prog_name="focus")


def new_place(intact: Path, inputs: Sequence[str], place: Path) -> Path:
    """Make the directory ``place`` for one command, with copies of ``inputs`` of ``intact`` in ``files`` below it, the
    command's current directory, which is returned."""
    files = place / "files"
    files.mkdir(parents=True)
    for name in inputs:
        if (intact / name).is_dir():
            shutil.copytree(intact / name, files / name)
        else:
            shutil.copy(intact / name, files / name)
    return files


def in_child(work: Callable[[], object], place: Path, limited: bool = True) -> Outcome:
    """:func:`start` and :func:`finish`."""
    return finish(start(work, place, limited), place)


def start(work: Callable[[], object], place: Path, limited: bool = True) -> int:
    """Do ``work`` in a child whose current directory is ``files`` below ``place``, and which has a cache of its own.

    Returns the child's process id.
    """
    for name in ("said.txt", "memory"):
        (place / name).write_bytes(b"")
    process = os.fork()
    if not process:
        _child(work, place, limited)
    return process


def finish(process: int, place: Path) -> Outcome:
    """Wait for a child; how it ended."""
    _, status, usage = os.wait4(process, 0)
    return Outcome(
        code=os.waitstatus_to_exitcode(status),
        said=(place / "said.txt").read_text(encoding="utf-8", errors="replace"),
        memory=1024 * usage.ru_maxrss - int((place / "memory").read_text() or 0),
    )


def _child(work: Callable[[], object], place: Path, limited: bool) -> NoReturn:
    code = _TRACEBACK
    try:
        _redirect(place / "said.txt")
        os.environ["FOCUS_CACHE"] = str(place / "cache")
        os.chdir(place / "files")
        pages = Path("/proc/self/statm").read_text().split()
        addresses, resident = (int(number) * resource.getpagesize() for number in pages[:2])
        (place / "memory").write_text(str(resident))
        if limited:
            resource.setrlimit(resource.RLIMIT_AS, (addresses + _ADDRESSES,) * 2)
            signal.alarm(SECONDS)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(path: Path) -> None:
    """Write standard output and standard error to a file, also those of C++ code."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    sys.stdout, sys.stderr = (os.fdopen(standard, "w", closefd=False) for standard in (1, 2))


def faults(outcome: Outcome, names: Sequence[str]) -> list[str]:
    """What is wrong with the end of a command whose input was damaged; ``names``: one of them must be in its error."""
    if outcome.code == -signal.SIGALRM:
        return [f"ran for more than {SECONDS} seconds"]
    if outcome.code < 0:
        return [f"ended by signal {signal.Signals(-outcome.code).name}"]
    found = []
    if outcome.memory > MEMORY:
        found.append(f"used {outcome.memory / 1e9:.1f} GB")
    if "Traceback (most recent call last)" in outcome.said or outcome.code == _TRACEBACK:
        return [*found, "ended with a traceback"]
    if outcome.code == 0:
        return found
    said = re.findall(r"^Error: .*(?:\n.+)*", outcome.said, re.MULTILINE)
    if outcome.code != 1 or len(said) != 1:
        return [*found, f"exit code {outcome.code} and {len(said)} errors"]
    if "\n" in said[0]:
        found.append("the error is more than one line")
    if not any(name in said[0] for name in names):
        found.append("the error does not name the file")
    return found
