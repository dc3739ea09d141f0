"""Reads text with line numbers, writes files and directories completely or not at all, and computes digests."""

import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from focus_plugin.errors import FocusError

Progress = Callable[[int], object]


def silent(_: int) -> None:
    """A progress callback that does nothing, the default."""


def cache_directory() -> Path:
    """``$FOCUS_CACHE``, or ``focus-fairseq`` in the user's cache directory."""
    if configured := os.environ.get("FOCUS_CACHE"):
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "focus-fairseq"


def existing_file(path: str | Path) -> Path:
    """``path`` itself. Raises FocusError if there is no such file."""
    path = Path(path)
    if path.is_dir():
        raise FocusError(f"{path}: is a directory; a file is needed here.")
    if not path.is_file():
        raise FocusError(f"{path}: no such file.")
    return path


def require_utf8_name(path: Path) -> Path:
    """``path`` itself. Raises FocusError if its name is not UTF-8: PyTorch and ONNX Runtime open no such file."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise FocusError(
            f"{path}: PyTorch and ONNX Runtime open only files whose names are UTF-8; rename it, or set PYTHONUTF8=1 "
            "if the name is UTF-8 and the locale is not."
        ) from error
    return path


def read_lines(path: str | Path, progress: Progress = silent) -> Iterator[str]:
    """Yield the lines of a UTF-8 text without their line ends. Lines and file can have any size.

    ``progress`` is called with the number of bytes read since the last call. Raises FocusError where a line is
    not valid UTF-8.
    """
    with open(existing_file(path), "rb") as file:
        for number, raw in enumerate(file, 1):
            yield decode_line(raw, path, number)
            progress(len(raw))


def decode_line(raw: bytes, path: str | Path, number: int) -> str:
    """The text of line ``number`` (from 1) of ``path``, without its line end and without a byte order mark.

    Raises FocusError if it is not valid UTF-8.
    """
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise FocusError(
            f"{path}, line {number}: not valid UTF-8 (byte {error.start} of the line is "
            f"0x{raw[error.start]:02x}). Convert the file to UTF-8 first, for example with iconv."
        ) from error


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError for any other text, and for a value that is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def sha256(path: str | Path, progress: Progress = silent) -> str:
    """Hexadecimal SHA-256 of a file's bytes, or of the names and bytes of all files below a directory."""
    path, digest = Path(path), hashlib.sha256()
    if not path.exists():
        raise FocusError(f"{path}: no such file or directory.")
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with open(file, "rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
                progress(len(chunk))
    return digest.hexdigest()


def write_json(path: str | Path, value: object) -> None:
    """Write ``value`` as indented UTF-8 JSON with a final newline."""
    Path(path).write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _synchronize(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_place(output: Path) -> None:
    """Raise FocusError if ``output``, which does not exist yet, cannot be created. Called before any work is done."""
    if output.is_symlink():
        raise FocusError(
            f"{output}: is a symbolic link whose target does not exist; choose another --output or remove it."
        )
    if broken := [path for path in output.parents if path.is_symlink() and not path.exists()]:
        raise FocusError(
            f"{output}: cannot be created, since {broken[-1]} is a symbolic link whose target does not exist."
        )
    before = (Path(*output.parts[:i]) for i, part in enumerate(output.parts) if i and part == "..")
    if absent := [path for path in before if not path.is_dir()]:
        raise FocusError(f"{output}: cannot be created, since {absent[0]} is not a directory.")
    parent = next(path for path in output.resolve().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise FocusError(f"{output}: cannot be created, since {parent} is not a directory that you may write to.")


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield the path of an empty file. It replaces ``path`` if the block succeeds and is removed if it fails.

    The file is in a ``scratch_directory`` and has the same name as ``path``.
    """
    path = Path(path)
    with scratch_directory(path) as directory:
        temporary = directory / path.name
        temporary.touch()
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _synchronize(temporary)
        temporary.replace(path)


@contextmanager
def whole_directory(path: str | Path, work: str = "") -> Iterator[Path]:
    """Yield a temporary directory. It becomes ``path`` if the block succeeds and is removed if it fails.

    ``path`` must either not exist or be an empty directory. Raises FocusError if it is anything else by then. ``work``:
    see ``scratch_directory``.
    """
    path = Path(path)
    with scratch_directory(path, work) as temporary:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        for file in temporary.rglob("*"):
            _synchronize(file)
        try:
            temporary.replace(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise FocusError(f"{path}: another command has made it in the meantime.") from error


@contextmanager
def scratch_directory(path: Path, work: str = "") -> Iterator[Path]:
    """Yield a temporary directory beside ``path``, on the same file system. It is removed after the block.

    A process that is killed in the block leaves its directory behind; the next call for the same ``path`` removes it.
    A running process holds a lock on its directory, so no other process removes it.

    ``work``, a part of the directory's name, tells work that can be resumed: a directory that was left behind with the
    same ``work`` is yielded with all that is in it. Ctrl-C and SIGTERM, which ends commands with SystemExit, leave it
    behind, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, lock = _abandoned(path, work) or _locked_directory(path.parent, _prefix(path, work))
    interrupted = False
    try:
        yield temporary
    except (KeyboardInterrupt, SystemExit):
        interrupted = True
        raise
    finally:
        if not (interrupted and work):
            shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)


def remove_abandoned(path: Path) -> None:
    """Remove the scratch directories for ``path`` that killed processes have left behind."""
    _abandoned(path, work="")


def _prefix(path: Path, work: str = "") -> str:
    return f".{path.name}.making-{work and f'{work}-'}"


def _locked_directory(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new directory and the file descriptor that holds the lock on it."""
    while True:
        directory = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        if (lock := _lock(directory)) is not None:  # else another process removed it before it was locked
            return directory, lock


def _abandoned(path: Path, work: str) -> tuple[Path, int] | None:
    """The directory that a killed process with the same ``work`` left behind, and its lock; all others are removed."""
    found = None
    for directory in path.parent.glob(f"{glob.escape(_prefix(path))}*"):
        if (lock := _lock(directory)) is None:
            continue
        if work and found is None and directory.name.startswith(_prefix(path, work)):
            found = directory, lock
        else:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)
    return found


def _lock(directory: Path) -> int | None:
    """The file descriptor that holds the lock on a directory.

    None if the directory is gone or another user's, or if a running process holds the lock.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
