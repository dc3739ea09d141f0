"""Reads the texts of a run of predictions, one per line, and counts those that are done."""

import hashlib
import io
import sys
from bisect import bisect
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from focus_plugin.decompression import CHUNK, Decompressed
from focus_plugin.errors import FocusError
from focus_plugin.files import decode_line
from focus_plugin.text import STANDARD, raw_lines, shortened


class TextInput:
    """Iterates over the lines of files, standard input or pipes, and stores those that are read but not yet done.

    done: the number of lines that are done. digest: the SHA-256 of their decompressed bytes, each line with a newline;
    it does not depend on the names and the compression of the files, nor on how the lines are divided among them.
    bytes: the size of all files, None if one is a pipe. One thread may iterate while another one calls ``finish``.
    """

    def __init__(self, paths: list[Path]) -> None:
        """``paths``: see :func:`focus_plugin.text.named_files`."""
        regular = all(path.is_file() for path in paths)
        self.name = shortened(*map(_name, paths))
        self.bytes = sum(path.stat().st_size for path in paths) if regular else None
        self.done = 0
        self._digest = hashlib.sha256()
        self._names: list[str] = []  # of the files opened so far
        self._starts: list[int] = []  # the number of lines before each of these files
        self._read = 0  # lines
        self._taken = 0  # bytes
        self._pending: list[tuple[bytes, int]] = []  # lines, and the number of bytes of each in its file
        self._lines = self._raw_lines(paths)

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

    def _raw_lines(self, paths: list[Path]) -> Iterator[bytes]:
        for path in paths:
            self._names.append(_name(path))
            self._starts.append(self._read)
            with _open(path) as file:
                before = self._taken
                source = Decompressed(file, self._count_bytes)
                for raw in raw_lines(io.BufferedReader(source, CHUNK), self._names[-1]):
                    size, before = (self._taken - before if source.format else len(raw)), self._taken
                    self._pending.append((raw, size))
                    self._read += 1
                    yield raw

    def _count_bytes(self, size: int) -> None:
        self._taken += size


def _name(path: Path) -> str:
    return "standard input" if str(path) == STANDARD else str(path)


def _open(path: Path) -> io.FileIO:
    if str(path) != STANDARD:
        return io.FileIO(path)
    if sys.stdin is None:
        raise FocusError("Standard input is closed; give a file.")
    # Not sys.stdin, and the descriptor is not closed: either would wait for the thread that is reading a line.
    return io.FileIO(sys.stdin.fileno(), closefd=False)
