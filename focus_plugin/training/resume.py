"""The directory ``OUTPUT.unfinished``, in which a training lives until it is done, so that a killed one can resume."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.manifest import UNFINISHED, Manifest, read_manifest, write_manifest
from focus_plugin.training.checkpoints import LAST


def unfinished_directory(output: Path) -> Path:
    """``OUTPUT.unfinished``."""
    return output.with_name(f"{output.name}{UNFINISHED}")


@contextmanager
def resumable(directory: Path, manifest: Manifest) -> Iterator[int]:
    """Hold ``directory`` alone, new or with what an interrupted run of the same job left there.

    It is removed when the block ends well. Yields the descriptor of a lock; a process that inherits it holds the lock
    too. Raises FocusError if another process holds it, or the directory has a checkpoint of another job.
    """
    with _locked(directory) as lock:
        _begin(directory, manifest)
        yield lock
        shutil.rmtree(directory)  # fairseq's checkpoints are several times the model's size


@contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """Hold a lock on ``directory``, which may come and go meanwhile, and yield its descriptor."""
    path = directory.with_name(f"{directory.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.fstat(file.fileno()).st_nlink > 0  # else its last owner has just removed it
        except BlockingIOError:
            held = False
        if not held:
            raise FocusError(f"{directory}: a training is still running here; wait for it, or end it first.")
        try:
            yield file.fileno()
        finally:
            path.unlink(missing_ok=True)


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
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    write_manifest(directory, manifest, {})
