"""Reads tab-separated tables."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.options import option
from focus_plugin.text import TextFile


@dataclass(frozen=True, kw_only=True)
class TwoTextColumns:
    """The columns of a table with the texts of pairs."""

    first_column: str = option("first", help="Column with the first text of each pair.")
    second_column: str = option("second", help="Column with the second text of each pair.")


def read_table(path: Path, columns: Sequence[str], progress: Progress = silent) -> Iterator[tuple[int, list[str]]]:
    """The line number and the cells of ``columns`` of each row of a table with a header; blank lines are skipped.

    Cells are not changed. The file may be compressed. Raises FocusError, with file and line, for a missing column, for
    a row with another number of cells than the header, and for a table without rows.
    """
    lines = TextFile.of(existing(path)).lines(progress)
    header = next(lines, "").split("\t")
    if missing := [name for name in columns if name not in header]:
        raise FocusError(
            f"{path}, line 1: the header has no column {missing[0]!r}; it must have the tab-separated columns "
            f"{listed(columns, ' and ')}, and it has {listed(header)}."
        )
    if twice := [name for name in columns if header.count(name) > 1]:
        raise FocusError(f"{path}, line 1: the header has the column {twice[0]!r} twice.")
    places = [header.index(name) for name in columns]
    empty = True
    for number, line in enumerate(lines, 2):
        if line:
            empty = False
            cells = line.split("\t")
            if len(cells) != len(header):
                raise FocusError(f"{path}, line {number}: {len(cells)} columns, but the header has {len(header)}.")
            yield number, [cells[place] for place in places]
    if empty:
        raise FocusError(f"{path}: the table has a header but no rows.")


def read_texts(
    path: Path, texts: Sequence[str], others: Sequence[str], progress: Progress = silent
) -> Iterator[tuple[int, tuple[str, ...], list[str]]]:
    """The line number of each row, and the cells of the columns ``texts`` and of the columns ``others``.

    Raises FocusError as :func:`read_table`, and for a text that is empty.
    """
    for line, cells in read_table(path, (*texts, *others), progress):
        for name, text in zip(texts, cells, strict=False):
            if not text.strip():
                raise FocusError(f"{path}, line {line}: the column {name!r} is empty.")
        yield line, tuple(cells[: len(texts)]), cells[len(texts) :]


def score_fault(cell: str) -> str | None:
    """A sentence if a cell is not a finite number."""
    try:
        finite = math.isfinite(float(cell))
    except ValueError:
        finite = False
    return None if finite else f"the score {cell!r} is not a finite number"


def table_header(path: Path) -> list[str]:
    """The cells of the first line of a file; none if there is no such file."""
    return next(TextFile.of(path).lines(), "").split("\t") if path.is_file() else []


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
