"""Reads tables: tab-separated, or CSV by the ending of their names."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.options import option
from focus_plugin.text import LONGEST_LINE, TextFile

_CSV = ".csv"
_COMPRESSED = (".gz", ".xz", ".zst", ".bz2")


@dataclass(frozen=True, kw_only=True)
class TwoTextColumns:
    """The columns of a table with the texts of pairs."""

    first_column: str = option("first", help="Column with the first text of each pair.")
    second_column: str = option("second", help="Column with the second text of each pair.")
    pair_column: str | None = option(
        None,
        help="Instead of --first-column and --second-column: column with both texts of each pair, one on each line.",
    )

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (self.pair_column,) if self.pair_column else (self.first_column, self.second_column)

    def texts(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Both texts in the cells of these columns. Raises FocusError, without file and line, if there are not two."""
        if not self.pair_column:
            return tuple(cells)
        lines = [line for line in cells[0].split("\n") if line.strip()]
        if len(lines) != 2:
            number = f"{len(lines)} line{'s' if len(lines) > 1 else ''}"
            raise FocusError(f"the column {self.pair_column!r} has {number} of text, but a pair has two.")
        return tuple(lines)


def read_table(path: Path, columns: Sequence[str], progress: Progress = silent) -> Iterator[tuple[int, list[str]]]:
    """The line number and the cells of ``columns`` of each row of a table with a header; blank lines are skipped.

    Cells are not changed, except that line breaks in those of a CSV file are always line feeds. The file may be
    compressed. Raises FocusError, with file and line, for a missing column, for a row with another number of cells than
    the header, for a CSV file whose quotation marks are wrong, and for a table without rows.
    """
    rows = _rows(existing(path), progress)
    _, header = next(rows, (1, []))
    if not any(header):
        raise FocusError(f"{path}, line 1: is empty; a table begins with a header.")
    if missing := [name for name in columns if name not in header]:
        raise FocusError(
            f"{path}, line 1: the header has no column {missing[0]!r}; it must have the "
            f"{'comma' if _is_csv(path) else 'tab'}-separated columns {listed(columns, ' and ')}, and it has "
            f"{listed(header)}."
        )
    if twice := [name for name in columns if header.count(name) > 1]:
        raise FocusError(f"{path}, line 1: the header has the column {twice[0]!r} twice.")
    places = [header.index(name) for name in columns]
    empty = True
    for number, cells in rows:
        empty = False
        if len(cells) != len(header):
            raise FocusError(f"{path}, line {number}: {len(cells)} columns, but the header has {len(header)}.")
        yield number, [cells[place] for place in places]
    if empty:
        raise FocusError(f"{path}: the table has a header but no rows.")


def _rows(path: Path, progress: Progress = silent) -> Iterator[tuple[int, list[str]]]:
    """The first line and the cells of each row, header included."""
    lines = TextFile.of(path).lines(progress)
    header = next(lines, "")
    if "\0" in header:
        raise FocusError(
            f"{path}, line 1: has NUL characters, as text in UTF-16 has. Convert the file to UTF-8 first, for example "
            "with iconv."
        )
    if "\r" in header:
        raise FocusError(
            f"{path}: its lines end with carriage returns alone, as on old Macs; convert them to line feeds first, for "
            "example with: tr '\\r' '\\n'"
        )
    lines = chain([header], lines)
    if _is_csv(path):
        return _csv_rows(path, lines)
    return ((number, line.split("\t")) for number, line in enumerate(lines, 1) if line or number == 1)


def _csv_rows(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """As :func:`_rows`, of a CSV file (RFC 4180)."""
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            fault = str(error).partition(" - ")[0]  # what follows is advice for Python programmers
            raise FocusError(
                f"{path}, line {first}: the row that begins here is not valid CSV ({fault}); check its quotation marks."
            ) from error
        if cells is None:
            return
        if cells or first == 1:
            yield first, cells


def _is_csv(path: Path) -> bool:
    return format_suffix(path) == _CSV


def format_suffix(path: Path) -> str:
    """The ending of a file's name in lower case, such as ".csv", before that of a compression; "" if it has none."""
    suffixes = [suffix for suffix in map(str.lower, path.suffixes) if suffix not in _COMPRESSED]
    return suffixes[-1] if suffixes else ""


def read_texts(
    path: Path, columns: TwoTextColumns, more: Sequence[str], others: Sequence[str], progress: Progress = silent
) -> Iterator[tuple[int, tuple[str, ...], list[str]]]:
    """The line number of each row, its texts (the pair and those of the columns ``more``), and the cells of ``others``.

    Raises FocusError as :func:`read_table`, for a text that is empty, and for a cell that does not have two texts.
    """
    pair = columns.text_columns
    for line, cells in read_table(path, (*pair, *more, *others), progress):
        named, rest = cells[: len(pair) + len(more)], cells[len(pair) + len(more) :]
        for name, cell in zip((*pair, *more), named, strict=True):
            if not cell.strip():
                raise FocusError(f"{path}, line {line}: the column {name!r} is empty.")
        try:
            texts = columns.texts(named[: len(pair)])
        except FocusError as error:
            raise FocusError(f"{path}, line {line}: {error}") from error
        yield line, (*texts, *named[len(pair) :]), rest


def score_fault(cell: str) -> str | None:
    """A sentence if a cell is not a finite number."""
    try:
        finite = math.isfinite(float(cell)) and "_" not in cell  # Python reads 0_5 as 5
    except ValueError:
        finite = False
    return None if finite else f"the score {cell!r} is not a finite number"


def table_header(path: Path) -> list[str]:
    """The cells of the first row of a file; none if there is no such file."""
    return next(_rows(path), (1, [""]))[1] if path.is_file() else []


def existing(path: Path) -> Path:
    """Returns ``path``. Raises FocusError if it does not exist or is a directory."""
    if path.is_dir():
        raise FocusError(f"{path}: is a directory; a file is needed here.")
    if not path.exists():
        raise FocusError(f"{path}: no such file.")
    return path


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Names in quotation marks."""
    return separator.join(map(repr, names))
