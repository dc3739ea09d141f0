"""A file that grows over hours and survives being killed: what is written so far, and what it was made from."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import whole_file, write_json

# What decides the bytes, by name, as JSON can hold it.
Job = dict[str, str | int | bool]


@dataclass(frozen=True)
class Done:
    """How far a run came. texts: predicted and written. size: of the file so far, in bytes. digest: of their input."""

    texts: int = 0
    size: int = 0
    digest: str = ""


class Unfinished:
    """``OUTPUT.unfinished``, and beside it ``OUTPUT.unfinished.json``, which says how much of it counts.

    What is appended counts once the second file says so, which happens at once or not at all.
    """

    def __init__(self, path: Path, descriptor: int, job: Job, done: Done) -> None:
        self.path = path
        self.done = done
        self._descriptor = descriptor
        self._job = job

    def append(self, data: bytes, texts: int, digest: str) -> None:
        """Add the predictions of as many further texts; ``digest`` is then that of the input so far.

        Raises FocusError if there is no room.
        """
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
            done = Done(self.done.texts + texts, self.done.size + len(data), digest)
            _write_state(self.path, self._job, done)
        except OSError as error:
            raise FocusError(f"{self.path}: cannot be written ({error.strerror}).") from error
        self.done = done


@contextmanager
def unfinished_file(output: Path, jobs: Sequence[Job], start: bytes) -> Iterator[Unfinished]:
    """The unfinished file of ``output``, as a former run left it, or else holding ``start``.

    The first of ``jobs`` is this run's, a former run may have been any of them. The file is locked, and removed in the
    end if it holds no text. Raises FocusError if another run has it, if a run of another job has left it, or if
    ``output`` is there already.
    """
    path = output.with_name(f"{output.name}.unfinished")
    _refuse_existing(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FocusError(f"{path}: another run is writing it; wait for that.") from error
        _refuse_existing(output)  # the other run may just have finished it
        unfinished = Unfinished(path, descriptor, jobs[0], _former(path, os.fstat(descriptor).st_size, jobs))
        os.truncate(descriptor, unfinished.done.size)
        os.lseek(descriptor, unfinished.done.size, os.SEEK_SET)
        try:
            if not unfinished.done.texts:
                _write_state(path, jobs[0], Done())
                unfinished.append(start, 0, "")
            yield unfinished
        finally:
            if not unfinished.done.texts:
                path.unlink(missing_ok=True)
            if not path.exists():
                _state_path(path).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _refuse_existing(output: Path) -> None:
    if output.exists():
        raise FocusError(f"{output}: is already there; choose another --output or remove it.")


def _state_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _write_state(path: Path, job: Job, done: Done) -> None:
    with whole_file(_state_path(path)) as temporary:
        write_json(temporary, {"job": job, "done": asdict(done)})


def _former(path: Path, size: int, jobs: Sequence[Job]) -> Done:
    """How far a former run of one of ``jobs`` came; FocusError if the file of ``size`` bytes is not of one."""
    state = _state_path(path)
    if not size:
        return Done()
    if not state.exists():
        raise FocusError(f"{path}: holds what this program did not write; it needs this place for itself.")
    try:
        values = json.loads(state.read_text(encoding="utf-8"))
        done, former = Done(**values["done"]), values["job"]
    except (ValueError, TypeError, KeyError) as error:
        raise FocusError(f"{state}: damaged ({error}); remove it and {path}.") from error
    if not done.texts:
        return Done()
    if former not in jobs:
        raise FocusError(
            f"{path}: an unfinished run with another model or options; repeat that command to finish it, or remove "
            f"{path} and {state}."
        )
    if size < done.size:
        raise FocusError(f"{path}: has lost its end since it was written; remove it and {state}.")
    return done
