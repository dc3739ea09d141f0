"""A file that grows over hours and survives being killed: what is written so far, and what it was made from."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from focus_plugin.errors import FocusError

# What decides the bytes, by name, as JSON can hold it.
Job = dict[str, str | int | bool]


@dataclass(frozen=True)
class Done:
    """How far a run came. texts: predicted and written. size: of the file so far, in bytes. digest: of their input.
    ended: whether these are all, and the output is there or about to be."""

    texts: int = 0
    size: int = 0
    digest: str = ""
    ended: bool = False


class GrowingFile:
    """``OUTPUT.unfinished``, and beside it ``OUTPUT.unfinished.json``, which says how much of it counts.

    What is appended counts once the second file says so, which happens at once or not at all.
    """

    def __init__(self, output: Path, descriptor: int, job: Job, done: Done) -> None:
        self.path = _unfinished_path(output)
        self.done = done
        self._output = output
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

    def publish(self, whole: Path) -> None:
        """Make ``whole``, this file or what was made of it, the output, and remove what is left."""
        _write_state(self.path, self._job, replace(self.done, ended=True))
        whole.replace(self._output)
        _remove(self.path)


@contextmanager
def growing_file(output: Path, jobs: Sequence[Job], start: bytes) -> Iterator[GrowingFile]:
    """The unfinished file of ``output``, as a former run left it, or else holding ``start``.

    The first of ``jobs`` is this run's, a former run may have been any of them. The file is locked, and removed in the
    end if it holds no text. Raises FocusError if another run has it, if a run of another job has left it, or if
    ``output`` is there already.
    """
    path = _unfinished_path(output)
    if not path.exists() and not _state_path(path).exists():
        _refuse_existing(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FocusError(f"{path}: another run is writing it; wait for that.") from error
        size = os.fstat(descriptor).st_size
        if output.exists() and (not size or (_state_path(path).exists() and _read_state(path)[1].ended)):
            _remove(path)  # of a run that was killed when it had just ended
        _refuse_existing(output)
        grown = GrowingFile(output, descriptor, jobs[0], _former(path, size, jobs))
        os.truncate(descriptor, grown.done.size)
        os.lseek(descriptor, grown.done.size, os.SEEK_SET)
        try:
            if not grown.done.texts:
                _write_state(path, jobs[0], Done())
                grown.append(start, 0, "")
            yield grown
        finally:
            if not grown.done.texts:
                _remove(path)
    finally:
        os.close(descriptor)


def _refuse_existing(output: Path) -> None:
    if output.exists():
        raise FocusError(f"{output}: is already there; choose another --output or remove it.")


def _unfinished_path(output: Path) -> Path:
    return output.with_name(f"{output.name}.unfinished")


def _state_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _remove(path: Path) -> None:
    for end in ("", ".json", ".json.new"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _write_state(path: Path, job: Job, done: Done) -> None:
    """At once or not at all; what a killed run left of it is written over, for only one run has the file."""
    state = _state_path(path)
    new = state.with_name(f"{state.name}.new")
    with open(new, "w", encoding="utf-8") as file:
        json.dump({"job": job, "done": asdict(done)}, file, ensure_ascii=False, indent=2)
        file.flush()
        os.fsync(file.fileno())
    new.replace(state)


def _read_state(path: Path) -> tuple[Job, Done]:
    state = _state_path(path)
    if not state.exists():
        raise FocusError(f"{path}: holds what this program did not write; it needs this place for itself.")
    try:
        values = json.loads(state.read_text(encoding="utf-8"))
        return values["job"], Done(**values["done"])
    except (ValueError, TypeError, KeyError) as error:
        raise FocusError(f"{state}: damaged ({error}); remove it and {path}.") from error


def _former(path: Path, size: int, jobs: Sequence[Job]) -> Done:
    """How far a former run of one of ``jobs`` came; FocusError if the file of ``size`` bytes is not of one."""
    state = _state_path(path)
    if not size:
        return Done()
    former, done = _read_state(path)
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
