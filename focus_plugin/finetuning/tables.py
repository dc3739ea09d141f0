"""Tab-separated tables of samples and what is expected of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.text import TextFile


def read_table(path: Path, columns: Sequence[str], progress: Progress = silent) -> Iterator[tuple[int, list[str]]]:
    """Line number, and the cells of ``columns``, of every row of a table with a header; blank lines are passed over.

    Cells are taken as they are. The file may be compressed. Raises FocusError, with file and line, for a column that
    is missing, a row of another width, and no rows.
    """
    lines = TextFile.of(existing(path)).lines(progress)
    header = next(lines, "").split("\t")
    if missing := [name for name in columns if name not in header]:
        raise FocusError(
            f"{path}, line 1: the header has no column {missing[0]!r}; it must name tab-separated columns, among them "
            f"{listed(columns, ' and ')}, and has {listed(header)}."
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


def existing(path: Path) -> Path:
    """``path`` itself. Raises FocusError if there is nothing."""
    if not path.exists():
        raise FocusError(f"{path}: no such file.")
    return path


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Names in quotation marks."""
    return separator.join(map(repr, names))
