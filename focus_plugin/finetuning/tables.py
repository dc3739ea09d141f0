"""Reads tab-separated tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.text import TextFile


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


def table_header(path: Path) -> list[str]:
    """The cells of the first line of a file; none if there is no such file."""
    return next(TextFile.of(path).lines(), "").split("\t") if path.is_file() else []


def existing(path: Path) -> Path:
    """Returns ``path``. Raises FocusError if it does not exist."""
    if not path.exists():
        raise FocusError(f"{path}: no such file.")
    return path


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Names in quotation marks."""
    return separator.join(map(repr, names))
