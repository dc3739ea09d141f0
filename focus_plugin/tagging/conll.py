"""Reads CoNLL tables: a word and its tags on each line, and a blank line after each sentence."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.tagging.columns import TagColumns, column_index
from focus_plugin.tagging.sentences import SentenceRows, TaggedSentence

_DOCUMENT = "-DOCSTART-"
_NAMES = re.compile(r"#\s*global\.columns\s*=(.*)")  # as in CoNLL-U Plus
_COMMENT = re.compile(r"#\s*\S+\s+=\s")


def conll_sentences(path: Path, lines: Iterable[str], columns: TagColumns) -> Iterator[TaggedSentence]:
    """The sentences of a CoNLL table. Columns are separated by tabs or, on lines without a tab, by spaces.

    Lines with -DOCSTART- and comments are left out. A comment is before the first word of a sentence, begins with ``#``
    and either has another number of columns than the lines of words, or is like ``# name = value``. Raises FocusError,
    with the line, for a line with another number of columns than the first one, and for an empty word or tag.
    """
    table = [(number, line, _cells(line)) for number, line in enumerate(lines, 1)]
    plain = ((number, len(cells)) for number, line, cells in table if _has_word(cells) and not line.startswith("#"))
    first, width = next(plain, (1, 2))
    if width < 2:
        raise FocusError(
            f"{path}, line {first}: 1 column; a table of tags must have words and tags, separated by tabs or spaces."
        )
    names = [name for _, line, _ in table if (found := _NAMES.match(line)) for name in found[1].split()]
    word, tag = (
        column_index(f"{path}, line {first}", chosen or default, names, width)
        for chosen, default in ((columns.word_column, "1"), (columns.tag_column, "-1"))
    )
    rows = SentenceRows(path, columns.repair)
    for number, line, cells in table:
        if not _has_word(cells):
            yield from rows.sentence()
            rows = SentenceRows(path, columns.repair)
        elif rows.words or not line.startswith("#") or (len(cells) == width and not _COMMENT.match(line)):
            if len(cells) != width:
                raise FocusError(f"{path}, line {number}: {len(cells)} columns, but line {first} has {width}.")
            rows.add(number, cells[word], cells[tag])
    yield from rows.sentence()


def _cells(line: str) -> list[str]:
    if not line.strip():
        return []
    return [cell.strip(" ") for cell in line.split("\t")] if "\t" in line else re.split(" +", line.rstrip(" "))


def _has_word(cells: list[str]) -> bool:
    return bool(cells) and cells[0] != _DOCUMENT
