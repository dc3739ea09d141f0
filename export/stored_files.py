"""Files in object stores, such as ``s3://bucket/texts.txt``, which are read and written by the package fsspec."""

import glob
import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from focus_plugin.errors import FocusError
from focus_plugin.files import cache_directory

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://")


def is_address(name: str | Path) -> bool:
    """Whether ``name`` is the address of a file in an object store; a Path never is."""
    return isinstance(name, str) and _ADDRESS.match(name) is not None


@dataclass(frozen=True)
class StoredFile:
    """A file to read. bytes: its size."""

    address: str
    bytes: int

    def __str__(self) -> str:
        return self.address

    def open(self) -> io.RawIOBase:
        """A stream of its bytes. Opening and reading raise FocusError if the store cannot be read."""
        return _Stream(self.address)


class _Stream(io.RawIOBase):
    """The bytes of a stored file; errors of the store are FocusErrors."""

    def __init__(self, address: str) -> None:
        self._address = address
        with _reported(address, "read"):
            store, path = _store(address)
            self._file = store.open(path, "rb")

    def read(self, size: int = -1) -> bytes:
        with _reported(self._address, "read"):
            data: bytes = self._file.read(size)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True)
class StoredOutput:
    """A file to write. Until it is complete, it is in the user's cache directory."""

    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def place(self) -> Path:
        """Where a complete file is until it is in the store."""
        name = PurePosixPath(self.address).name
        return cache_directory() / "predictions" / f"{hashlib.sha256(self.address.encode()).hexdigest()[:16]}.{name}"

    def exists(self) -> bool:
        """Whether the file is in the store. Raises FocusError if the store cannot be read."""
        with _reported(self.address, "read"):
            store, path = _store(self.address)
            store.invalidate_cache()
            return bool(store.exists(path))

    def receive(self, whole: Path) -> None:
        """Move the file ``whole`` into the store. Raises FocusError if the store cannot be written.

        In a store, a file is renamed only when it is complete, since not every store writes files as a whole.
        """
        with _reported(self.address, "written"):
            store, path = _store(self.address)
            store.makedirs(path.rpartition("/")[0], exist_ok=True)
            store.put_file(str(whole), f"{path}.unfinished")
            store.mv(f"{path}.unfinished", path)
        whole.unlink()


def stored_files(address: str) -> list[StoredFile]:
    """The files that an address stands for; it can have a pattern as its name, such as ``s3://bucket/*.txt``.

    Raises FocusError if there is no such file, and if the store cannot be read.
    """
    with _reported(address, "read"):
        store, path = _store(address)
        if not glob.has_magic(path):
            return [StoredFile(address, store.info(path)["size"])]
        found = store.glob(path, detail=True)
    files = [
        StoredFile(store.unstrip_protocol(name), entry["size"])
        for name, entry in sorted(found.items())
        if entry["type"] == "file"
    ]
    if not files:
        raise FocusError(f"{address}: no file matches this pattern.")
    return files


def _store(address: str) -> tuple[Any, str]:
    """The store of an address, and the name of the file in it."""
    try:
        import fsspec.core
    except ModuleNotFoundError as error:
        raise FocusError(f'{address}: needs the package fsspec; pip install "focus-fairseq[stores]".') from error
    found: tuple[Any, str] = fsspec.core.url_to_fs(address)
    return found


@contextmanager
def _reported(address: str, done: str) -> Iterator[None]:
    """Errors in the block as FocusErrors; each store has exceptions of its own. ``done``: what cannot be done."""
    try:
        yield
    except FocusError:
        raise
    except FileNotFoundError as error:
        raise FocusError(f"{address}: no such file.") from error
    except Exception as error:
        raise FocusError(f"{address}: cannot be {done} ({type(error).__name__}: {error}).") from error
