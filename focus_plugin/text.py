"""A user's text: one or several UTF-8 files, named one by one or by a pattern, compressed or not."""

import glob
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from focus_plugin.decompression import CHUNK, Decompressed, DecompressionError
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, decode_line, silent

STANDARD = "-"
LONGEST_LINE = 1 << 28  # bytes; a file of questions in SQuAD's layout can be one line


@dataclass(frozen=True)
class Content:
    """The content of a text. It does not depend on names, compression and number of the files.

    digest: the SHA-256, in hexadecimal, of the decompressed bytes of all files; a newline is added to a file that does
    not end with one. bytes: the number of these bytes.
    """

    digest: str
    bytes: int


@dataclass(frozen=True)
class TextFile:
    """One file of a text. bytes: its size on disk. modified: when it was last written, in nanoseconds."""

    path: Path
    bytes: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "TextFile":
        """The file at ``path``. Raises FocusError if it cannot be read more than once, such as a pipe."""
        if str(path) == STANDARD:
            raise FocusError(
                "Standard input can be read only once, and this text is read more than once; write it to a file "
                "first, for example with: cat > text.txt"
            )
        if not path.is_file():
            raise FocusError(
                f"{path}: is a pipe or a device, and this text is read more than once; write it to a file first."
            )
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def __str__(self) -> str:
        return str(self.path)

    def lines(self, progress: Progress = silent) -> Iterator[str]:
        """Yield the lines without their line ends. The file can have any size.

        ``progress`` is called with the number of bytes of the file (before decompression) read since the last call.
        Raises FocusError, naming file and line, for text that is not UTF-8 and for damaged compressed data, and if the
        file has changed since this object was made.
        """
        with self.open(progress) as stream:
            for number, line in enumerate(raw_lines(stream, self.path), 1):
                yield decode_line(line, self.path, number)

    @contextmanager
    def open(self, progress: Progress = silent) -> Iterator[io.BufferedReader]:
        """The decompressed bytes of the file. Raises FocusError if the file has changed before or during the block."""
        with open(self.path, "rb", buffering=0) as file:
            self._require_unchanged(file)
            yield io.BufferedReader(Decompressed(file, progress), CHUNK)
            self._require_unchanged(file)

    def _require_unchanged(self, file: io.RawIOBase) -> None:
        status = os.fstat(file.fileno())
        if (status.st_size, status.st_mtime_ns) != (self.bytes, self.modified):
            raise FocusError(f"{self.path}: has changed while it was in use; repeat the command.")


@dataclass(frozen=True)
class Text:
    """One or several files that are read one after the other, as if they were one file."""

    files: tuple[TextFile, ...]

    @classmethod
    def of(cls, *names: str | Path) -> "Text":
        """The text in the files ``names``; see :func:`named_files`.

        Raises FocusError as that does, and for standard input or a pipe, which can be read only once.
        """
        return cls(tuple(map(TextFile.of, named_files(*names))))

    def __str__(self) -> str:
        return shortened(*self.files)

    @property
    def name(self) -> str:
        """The name of the first file without its directory, and how many more there are."""
        return shortened(*(file.path.name for file in self.files))

    @property
    def bytes(self) -> int:
        """The size of all files on disk; the sum of all numbers that ``progress`` is called with."""
        return sum(file.bytes for file in self.files)

    def lines(self, progress: Progress = silent) -> Iterator[str]:
        """The lines of all files; see :meth:`TextFile.lines`. A line ends where its file ends."""
        for file in self.files:
            yield from file.lines(progress)

    def places(self, progress: Progress = silent) -> Iterator[tuple[str, str]]:
        """The file and number of each line, as messages name them, and the line; ``progress``: see :meth:`lines`."""
        for file in self.files:
            for number, line in enumerate(file.lines(progress), 1):
                yield f"{file}, line {number}", line

    def content(self, progress: Progress = silent) -> Content:
        """The content of all files. They are read in the first call of a process.

        Raises FocusError as :meth:`lines` does, but for what is not UTF-8.
        """
        if self not in _KNOWN:
            _KNOWN[self] = self._content(progress)
        return _KNOWN[self]

    def _content(self, progress: Progress) -> Content:
        digest, size = hashlib.sha256(), 0
        for file in self.files:
            last = b"\n"
            with file.open(progress) as stream:
                try:
                    while chunk := stream.read(CHUNK):
                        digest.update(chunk)
                        size += len(chunk)
                        last = chunk
                except DecompressionError as error:
                    raise FocusError(f"{file}: {error}") from error
            if not last.endswith(b"\n"):
                digest.update(b"\n")
                size += 1
        return Content(digest.hexdigest(), size)


_KNOWN: dict[Text, Content] = {}  # a Text includes the time of its last change, so its content cannot change


def named_files(*names: str | Path) -> list[Path]:
    """The files ``names``, in this order.

    A name that is no file can be a pattern, such as ``news/*.txt`` or ``**/*.txt.gz``; it stands for all files that
    match it, sorted. ``-`` is left as it is. Raises FocusError for a name that stands for no file, for a directory, and
    for a file that is named twice.
    """
    paths = [path for name in names for path in _matching(str(name))]
    if not paths:
        raise FocusError("No text is given; name at least one file.")
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise FocusError(f"{path}: is named twice; name each file of a text once.")
        seen.add(path.resolve())
    return paths


def shortened(first: object, *others: object) -> str:
    """The name of the first file, and how many more there are."""
    return f"{first} and {len(others)} more file{'s' if len(others) > 1 else ''}" if others else str(first)


def _matching(name: str) -> list[Path]:
    """The files that ``name`` stands for; a name without a pattern stands for itself."""
    path = Path(name)
    if name == STANDARD or path.exists():
        if path.is_dir():
            raise FocusError(f"{name}: is a directory; name the files in it, for example as '{name}/*.txt'.")
        return [path]
    if not glob.has_magic(name):
        raise FocusError(f"{name}: no such file.")
    found = sorted(path for path in map(Path, glob.glob(name, recursive=True)) if path.is_file())
    if not found:
        raise FocusError(f"{name}: no file matches this pattern.")
    return found


def raw_lines(stream: io.BufferedReader, name: str | Path) -> Iterator[bytes]:
    """Yield the lines of ``stream`` with their line ends.

    Raises FocusError, naming file and line, for compressed data that cannot be read, for an archive of files and for a
    line of more than LONGEST_LINE bytes, of which a small compressed file can have any number.
    """
    number = 0
    try:
        for number, line in enumerate(iter(partial(stream.readline, LONGEST_LINE + 1), b""), 1):
            if number == 1:
                _refuse_archive(line, name)
            if len(line) > LONGEST_LINE:
                raise FocusError(f"{name}, line {number}: is longer than {LONGEST_LINE >> 20} MB, so this is no text.")
            yield line
    except DecompressionError as error:
        raise FocusError(f"{name}, line {number + 1}: {error}") from error


def _refuse_archive(line: bytes, name: str | Path) -> None:
    """The first line of an archive would otherwise be taken for text, and its content with it."""
    kind = "zip" if line.startswith(b"PK\3\4") else "tar" if line[257:262] == b"ustar" else None
    if kind:
        raise FocusError(f"{name}: is a {kind} archive; unpack it and name the files of text in it.")
