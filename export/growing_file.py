"""A file of results that a long run appends to, so that a run that was killed can be continued."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from focus_plugin.errors import FocusError
from focus_plugin.files import parse_json

# Everything that determines the bytes of the file except its input, by name, as JSON values.
Job = dict[str, str | int | bool]


@dataclass(frozen=True)
class Done:
    """How much of a run is done.

    texts: the number of texts whose predictions are in the file. size: the size of the file in bytes. digest: the
    digest of these texts. ended: whether these are all texts; the output then exists or is about to be made.
    """

    texts: int = 0
    size: int = 0
    digest: str = ""
    ended: bool = False


class Destination(Protocol):
    """Where a file goes when it is complete. place: the path beside which it is before."""

    @property
    def place(self) -> Path: ...
    def exists(self) -> bool: ...
    def receive(self, whole: Path) -> None: ...


@dataclass(frozen=True)
class LocalOutput:
    """An output that is a file of this machine."""

    place: Path

    def __str__(self) -> str:
        return str(self.place)

    def exists(self) -> bool:
        """Whether there is such a file or directory."""
        return self.place.exists()

    def receive(self, whole: Path) -> None:
        """Rename the file ``whole``."""
        whole.replace(self.place)


class GrowingFile:
    """``OUTPUT.unfinished``, and beside it ``OUTPUT.unfinished.json``, which says how many of its bytes are valid.

    Appended bytes are valid when the second file has been replaced, which is an atomic operation.
    """

    def __init__(self, output: Destination, descriptor: int, job: Job, done: Done) -> None:
        self.path = unfinished_path(output)
        self.done = done
        self._output = output
        self._descriptor = descriptor
        self._job = job

    def append(self, data: bytes, texts: int, digest: str) -> None:
        """Append the predictions of the next ``texts`` texts; ``digest``: the digest of all texts up to these.

        Raises FocusError if the file cannot be written, for example because the disk is full.
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
        """Move ``whole``, which is this file or was made from it, to the output, and remove all other files."""
        _write_state(self.path, self._job, replace(self.done, ended=True))
        self._output.receive(whole)
        _remove(self.path)


@contextmanager
def growing_file(output: Destination, jobs: Sequence[Job], start: bytes) -> Iterator[GrowingFile]:
    """The unfinished file of ``output``: that of an earlier run, or a new one with the bytes ``start``.

    The first of ``jobs`` is that of this run; a file of an earlier run with any of ``jobs`` is continued. The file is
    locked during the block, and removed afterwards if it has no results. Raises FocusError if another run is using the
    file, if it is from a run with another job, or if ``output`` exists.
    """
    path = unfinished_path(output)
    if not path.exists() and not _state_path(path).exists():
        _refuse_existing(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FocusError(f"{path}: another run is writing it; wait until it ends.") from error
        size = os.fstat(descriptor).st_size
        if output.exists() and (not size or (_state_path(path).exists() and _read_state(path)[1].ended)):
            _remove(path)  # left by a run that was killed just before its end
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


def texts_done(output: Destination) -> int:
    """The number of texts that an unfinished run of ``output`` has done, 0 without one.

    Raises FocusError if ``output`` exists already.
    """
    path = unfinished_path(output)
    if not path.exists() and not _state_path(path).exists():
        _refuse_existing(output)
        return 0
    return _read_state(path)[1].texts


def _refuse_existing(output: Destination) -> None:
    if output.exists():
        raise FocusError(f"{output}: already exists; choose another --output or remove it.")


def unfinished_path(output: Destination) -> Path:
    """Where the results are that an unfinished run has so far."""
    return output.place.with_name(f"{output.place.name}.unfinished")


def _state_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _remove(path: Path) -> None:
    for end in ("", ".json", ".json.new"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _write_state(path: Path, job: Job, done: Done) -> None:
    """Replace the state file atomically. The lock ensures that no other run writes it."""
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
        raise FocusError(f"{path}: was not written by this program, which needs this file name; rename it.")
    try:
        values = parse_json(state.read_text(encoding="utf-8"))
        return values["job"], Done(**values["done"])
    except (ValueError, TypeError, KeyError) as error:
        raise FocusError(f"{state}: damaged ({error}); remove it and {path}.") from error


def _former(path: Path, size: int, jobs: Sequence[Job]) -> Done:
    """The state of the file's run. ``size``: its size in bytes. Raises FocusError if its job is none of ``jobs``."""
    state = _state_path(path)
    if not size:
        return Done()
    former, done = _read_state(path)
    if not done.texts:
        return Done()
    if former not in jobs:
        raise FocusError(
            f"{path}: is from an unfinished run with another model or other options; repeat that command to finish it, "
            f"or remove {path} and {state}."
        )
    if size < done.size:
        raise FocusError(f"{path}: is shorter than it was; remove it and {state}.")
    return done
