"""Reads pairs of texts: tables with or without scores, and two texts that are aligned line by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress
from focus_plugin.finetuning.declaration import Example
from focus_plugin.finetuning.tables import TwoTextColumns, read_texts, score_fault, table_header
from focus_plugin.options import option
from focus_plugin.text import Text


@dataclass(frozen=True, kw_only=True)
class EmbeddingColumns(TwoTextColumns):
    """Where a table has its pairs. The columns ``negative`` and ``score`` need not be there."""

    negative_column: str = option("negative", help="Column with a text that does not mean the same, if there is one.")
    score_column: str = option("score", help="Column with the similarity of each pair, if there is one.")
    line_aligned: bool = option(
        False, help="Each table is two texts instead, such as a text and its translation: line i of both is a pair."
    )


@dataclass(frozen=True)
class Pair:
    """What a row of a table says: two texts, and their similarity if it has a score.

    dimensions: numbers of first values of which the metrics are also computed.
    """

    first: str
    second: str
    score: float | None
    dimensions: tuple[int, ...] = ()


def pairs_of_file(path: Path, columns: EmbeddingColumns, progress: Progress) -> Iterator[Example]:
    """The rows of a table whose header has the columns of the texts, or else the lines of a text.

    Raises FocusError, with file and line, for a text or a score that is empty or wrong, and for scores that are all
    equal.
    """
    if {*columns.text_columns} <= {*table_header(path)}:
        return _rows(path, columns, progress)
    return _lines(path, progress)


def _lines(path: Path, progress: Progress) -> Iterator[Example]:
    """The lines that are not blank."""
    empty = True
    for number, line in enumerate(Text.of(path).lines(progress), 1):
        if line.strip():
            empty = False
            yield Example(number, (line,))
    if empty:
        raise FocusError(f"{path}: the text is empty; it needs at least one line.")


def _rows(path: Path, columns: EmbeddingColumns, progress: Progress) -> Iterator[Example]:
    header = table_header(path)
    scored, negative = columns.score_column in header, columns.negative_column in header
    if scored and negative:
        raise FocusError(
            f"{path}, line 1: has the columns {columns.score_column!r} and {columns.negative_column!r}; a pair has a "
            "score or a negative. Name another --score-column or --negative-column."
        )
    scores = set()
    more, others = [columns.negative_column] * negative, [columns.score_column] * scored
    for line, given, cells in read_texts(path, columns, more, others, progress):
        if given[0] in given[2:] or given[1] in given[2:]:
            raise FocusError(f"{path}, line {line}: the negative is one of the texts of the pair.")
        if wrong := next(filter(None, map(score_fault, cells)), None):
            raise FocusError(f"{path}, line {line}: {wrong}.")
        score = float(cells[0]) if scored else None
        scores.add(score)
        yield Example(line, given, Pair(given[0], given[1], score))
    if scored and len(scores) < 2:
        raise FocusError(f"{path}: every pair has the score {scores.pop()}; no similarity can be learned or measured.")


def aligned_pairs(table: Text, columns: EmbeddingColumns, progress: Progress) -> Iterator[Example] | None:
    """The pairs of two texts with ``--line-aligned``, without white space around them; else None.

    Lines that are blank in both texts are left out. Raises FocusError for another number of files, for texts with
    different numbers of lines, for a line that is blank in one of them, and if there is no pair.
    """
    return _aligned_lines(table, progress) if columns.line_aligned else None


def _aligned_lines(table: Text, progress: Progress) -> Iterator[Example]:
    from focus_plugin.parallel.text import ParallelText

    if len(table.files) != 2:
        raise FocusError(
            f"{table}: --line-aligned needs two files for each table, but this one has {len(table.files)}."
        )
    sides = tuple(Text((file,)) for file in table.files)
    empty = True
    for number, texts in enumerate(ParallelText(sides).lines(progress), 1):
        if all(texts):
            empty = False
            yield Example(number, texts, Pair(*texts, None), table.files[0].path)
        elif any(texts):
            blank, other = sides if texts[1] else reversed(sides)
            raise FocusError(f"{blank}, line {number}: is empty, but this line of {other} is not.")
    if empty:
        raise FocusError(f"{table}: both texts are empty; they need at least one line.")
