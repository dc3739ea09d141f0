"""Reads the texts of a run of predictions, one per line, and counts those that are done."""

import hashlib
import io
import sys
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from focus_plugin.decompression import CHUNK, Decompressed
from focus_plugin.errors import FocusError
from focus_plugin.files import decode_line
from focus_plugin.text import STANDARD, named_files, raw_lines, shortened

from .stored_files import StoredFile, is_address, stored_files


class TextInput:
    """Iterates over the lines of files, standard input or pipes, and stores those that are read but not yet done.

    done: the number of lines that are done. digest: the SHA-256 of their decompressed bytes, each line with a newline;
    it does not depend on the names and the compression of the files, nor on how the lines are divided among them.
    bytes: the size of all files, None if one is a pipe. One thread may iterate while another one calls ``finish``.
    """

    def __init__(self, files: Sequence[Path | StoredFile]) -> None:
        """``files``: see :func:`input_files`."""
        sizes = [_size(file) for file in files]
        self.name = shortened(*map(_name, files))
        self.bytes = None if None in sizes else sum(size for size in sizes if size is not None)
        self.done = 0
        self._digest = hashlib.sha256()
        self._names: list[str] = []  # of the files opened so far
        self._starts: list[int] = []  # the number of lines before each of these files
        self._read = 0  # lines
        self._taken = 0  # bytes
        self._pending: list[tuple[bytes, int]] = []  # lines, and the number of bytes of each in its file
        self._lines = self._raw_lines(files)

    @property
    def digest(self) -> str:
        """The SHA-256 of all lines that are done, in hexadecimal."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[str]:
        """Yield the texts that are not done.

        Raises FocusError, naming file and line, for a line that is not UTF-8 and for damaged compressed data.
        """
        for raw in self._lines:
            yield decode_line(raw, self._names[-1], self._read - self._starts[-1])

    def skip(self, count: int) -> int:
        """Read ``count`` lines and mark them as done; return their number of bytes in the files."""
        return sum(self.finish(1) for _ in islice(self._lines, count))

    def place(self, number: int) -> str:
        """The file and line of line ``number`` (from 1) of all lines."""
        file = bisect(self._starts, number - 1) - 1
        return f"{self._names[file]}, line {number - self._starts[file]}"

    def size(self, indices: Iterable[int]) -> int:
        """The number of bytes in the files of the lines ``indices``; the first line that is not done has index 0."""
        return sum(self._pending[index][1] for index in indices)

    def finish(self, count: int) -> int:
        """Mark the next ``count`` lines as done; return their number of bytes in the files."""
        size = self.size(range(count))
        for raw, _ in self._pending[:count]:
            self._digest.update(raw.removesuffix(b"\n") + b"\n")
        del self._pending[:count]
        self.done += count
        return size

    def _raw_lines(self, files: Sequence[Path | StoredFile]) -> Iterator[bytes]:
        for file in files:
            self._names.append(_name(file))
            self._starts.append(self._read)
            with _open(file) as stream:
                before = self._taken
                source = Decompressed(stream, self._count_bytes)
                for raw in raw_lines(io.BufferedReader(source, CHUNK), self._names[-1]):
                    size, before = (self._taken - before if source.format else len(raw)), self._taken
                    self._pending.append((raw, size))
                    self._read += 1
                    yield raw

    def _count_bytes(self, size: int) -> None:
        self._taken += size


def input_files(*names: str | Path) -> Sequence[Path | StoredFile]:
    """The files ``names``, in this order: paths, patterns, ``-``, or addresses in object stores.

    Raises FocusError as :func:`focus_plugin.text.named_files` and :func:`stored_files` do.
    """
    if not any(map(is_address, names)):
        return named_files(*names)
    files: list[Path | StoredFile] = []
    for name in names:
        files += stored_files(str(name)) if is_address(name) else named_files(name)
    twice = next((file for file in files if files.count(file) > 1), None)
    if twice:
        raise FocusError(f"{twice}: is named twice; name each file of a text once.")
    return files


def _size(file: Path | StoredFile) -> int | None:
    """The number of bytes of a file; None if it is a pipe."""
    if isinstance(file, StoredFile):
        return file.bytes
    return file.stat().st_size if file.is_file() else None


def _name(file: Path | StoredFile) -> str:
    return "standard input" if str(file) == STANDARD else str(file)


def _open(file: Path | StoredFile) -> io.RawIOBase:
    if isinstance(file, StoredFile):
        return file.open()
    if str(file) != STANDARD:
        return io.FileIO(file)
    if sys.stdin is None:
        raise FocusError("Standard input is closed; give a file.")
    # Not sys.stdin, and the descriptor is not closed: either would wait for the thread that is reading a line.
    return io.FileIO(sys.stdin.fileno(), closefd=False)
