"""The directory ``OUTPUT.unfinished`` of a training that is not done, from which it resumes after it was killed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import remove_abandoned, scratch_directory, whole_directory
from focus_plugin.manifest import UNFINISHED, Manifest, read_manifest, write_manifest
from focus_plugin.training.checkpoints import LAST


class State(Enum):
    """The state of ``OUTPUT.unfinished``, in words for the user."""

    RUNNING = "a training is running here"
    INTERRUPTED = "not finished; the same command resumes it"
    DONE = "left by a run that was killed when it was done; the same command removes it"


def unfinished_directory(output: Path) -> Path:
    """``OUTPUT.unfinished``."""
    return output.with_name(f"{output.name}{UNFINISHED}")


def unfinished_state(directory: Path, manifest: Manifest) -> State:
    """The state of ``OUTPUT.unfinished``. ``manifest``: the one in it."""
    lock = _lock_file(directory)
    if lock.exists():
        with open(lock) as file:
            if not _take(file.fileno(), fcntl.LOCK_SH):
                return State.RUNNING
    finished = read_manifest(directory.with_name(directory.name.removesuffix(UNFINISHED)))
    return State.DONE if finished is not None and finished.same_content(manifest) else State.INTERRUPTED


@contextmanager
def resumable(directory: Path, manifest: Manifest) -> Iterator[int]:
    """Lock ``directory`` for the block. It is new, or has the files of an interrupted run of the same job.

    It is removed at the end of the block, unless the block raises. Yields the file descriptor of the lock; a process
    that inherits it holds the lock too. Raises FocusError if another process holds the lock, or if the directory has a
    checkpoint of another job.
    """
    with _locked(directory) as lock:
        if lock is None:
            raise FocusError(f"{directory}: a training is still running here; wait for it, or end it first.")
        _begin(directory, manifest)
        yield lock
        _remove(directory)  # fairseq's checkpoints are several times the model's size


def remove_leftovers(directory: Path, manifest: Manifest) -> None:
    """Remove ``OUTPUT.unfinished`` and temporary files beside it if they are of the job that made the output."""
    remove_abandoned(directory)
    if directory.exists() or _lock_file(directory).exists():
        with _locked(directory) as lock:
            existing = read_manifest(directory) if lock is not None else None
            if existing is not None and existing.same_content(manifest):
                _remove(directory)


def _lock_file(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")


@contextmanager
def _locked(directory: Path) -> Iterator[int | None]:
    """Lock ``directory``, which need not exist. Yields the lock's descriptor, or None if another process holds it."""
    path = _lock_file(directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        # the previous owner of the lock may have just deleted the file, which then has no links
        if not _take(file.fileno(), fcntl.LOCK_EX) or not os.fstat(file.fileno()).st_nlink:
            yield None
            return
        try:
            yield file.fileno()
        finally:
            path.unlink(missing_ok=True)


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _begin(directory: Path, manifest: Manifest) -> None:
    existing = read_manifest(directory)
    if existing is not None and existing.same_content(manifest):
        return
    if (directory / LAST).exists():
        raise FocusError(
            f"{directory}: an unfinished run with other input or options; repeat that command to finish it, or "
            "remove the directory."
        )
    if existing is None and directory.exists() and any(directory.iterdir()):
        raise FocusError(f"{directory}: holds files this program did not write; it needs this place for itself.")
    _remove(directory)
    with whole_directory(directory) as new:
        write_manifest(new, manifest, {})


def _remove(directory: Path) -> None:
    """Remove a directory atomically: even if the process is killed, no part of it remains under its name."""
    if directory.exists():
        with scratch_directory(directory) as temporary:
            directory.replace(temporary / directory.name)
