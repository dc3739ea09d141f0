"""The texts of a file or of standard input, one a line, compressed or not, and which of them are done."""

import gzip
import hashlib
import os
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from itertools import islice
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import decode_line

STANDARD = "-"
_GZIP_MAGIC = b"\x1f\x8b"


class TextInput:
    """Iterates over the lines as text; remembers those that were read until they are said to be done.

    ``done`` is their number and ``digest`` the SHA-256 of their bytes, whatever the file is called and however it is
    compressed; ``bytes`` is the size of the file, None of a pipe. One thread may iterate while another says what is
    done.
    """

    def __init__(self, name: str, file: BufferedReader) -> None:
        self.name = name
        self.done = 0
        status = os.fstat(file.fileno())
        self.bytes = status.st_size if stat.S_ISREG(status.st_mode) else None
        self._digest = hashlib.sha256()
        self._file = file
        head = file.peek(2)[:2]  # of a slow pipe one byte, which is that of gzip and begins no text
        self._compressed = bool(head) and _GZIP_MAGIC.startswith(head)
        self._lines = iter(gzip.GzipFile(fileobj=file) if self._compressed else file)
        self._pending: list[tuple[bytes, int]] = []  # a line, and the bytes of the file it took
        self._read = 0

    @property
    def digest(self) -> str:
        """SHA-256 of all lines that are done, hexadecimal."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[str]:
        """Yield the texts that are not done. Raises FocusError where a line is not UTF-8 or cannot be decompressed."""
        for number, raw in enumerate(self._raw_lines(), self.done + 1):
            yield decode_line(raw, self.name, number)

    def skip(self, count: int) -> int:
        """Read ``count`` lines and take them for done; their bytes in the file."""
        return sum(self.finish(1) for _ in islice(self._raw_lines(), count))

    def size(self, indices: Iterable[int]) -> int:
        """The bytes in the file of lines that are not done, of which the first has index 0."""
        return sum(self._pending[index][1] for index in indices)

    def finish(self, count: int) -> int:
        """Take the next ``count`` lines for done; their bytes in the file."""
        size = self.size(range(count))
        for raw, _ in self._pending[:count]:
            self._digest.update(raw)
        del self._pending[:count]
        self.done += count
        return size

    def _raw_lines(self) -> Iterator[bytes]:
        read = self._position()
        try:
            for raw in self._lines:
                position = self._position()
                self._pending.append((raw, position - read if self._compressed else len(raw)))
                self._read += 1
                read = position
                yield raw
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            fault = f"{self.name}, line {self._read + 1}: the gzip file is damaged or truncated ({error})."
            raise FocusError(fault) from error

    def _position(self) -> int:
        """How much of a compressed file is read, in bytes."""
        return self._file.tell() if self._compressed and self._file.seekable() else 0


@contextmanager
def open_texts(path: str | Path) -> Iterator[TextInput]:
    """The texts of ``path``, a file or a pipe, or of standard input if it is ``-``.

    Raises FocusError if there is no such file, or standard input is closed.
    """
    if str(path) == STANDARD:
        if sys.stdin is None:
            raise FocusError("Standard input is closed; give a file.")
        # neither sys.stdin nor closed: both would wait for a thread that waits for a line
        yield TextInput("standard input", BufferedReader(FileIO(sys.stdin.fileno(), closefd=False)))
        return
    if not Path(path).exists():
        raise FocusError(f"{path}: no such file.")
    if Path(path).is_dir():
        raise FocusError(f"{path}: is a directory; give a file of texts.")
    with open(path, "rb") as file:
        yield TextInput(str(path), file)
