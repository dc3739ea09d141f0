"""Reads CoNLL-U tables, the format of Universal Dependencies (universaldependencies.org/format.html)."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.tagging.columns import TagColumns, column_index
from focus_plugin.tagging.sentences import SentenceRows, TaggedSentence

NAMES = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
_ID = re.compile(r"(\d{1,9})(?:-(?P<last>\d{1,9})|(?P<empty>\.\d+))?")
_FEATURES, _MISC, _NO_VALUE = NAMES.index("FEATS"), NAMES.index("MISC"), "_"

_Row = tuple[int, list[str]]  # the number of a line and its columns


def conllu_sentences(path: Path, lines: Iterable[str], columns: TagColumns) -> Iterator[TaggedSentence]:
    """The sentences of a CoNLL-U table, with the spaces between words by ``SpaceAfter=No``.

    The words are those of the raw text: a multiword token such as 1-2 is one word, whose tag is the tags of its words
    joined by ``+``. Empty nodes such as 1.1 are left out. A column that is none of NAMES is a feature or an entry of
    MISC, such as NER in the output of focus predict; a word without it has the tag ``_``. Raises FocusError, with the
    line, for a line that does not have ten columns, for IDs of another form, for an empty word, and for a feature that
    no word has.
    """
    feature = columns.tag_column if _is_feature(columns.tag_column) else None
    value: Callable[[Sequence[str]], str]
    if feature:
        value = partial(_value, name=feature)
    else:
        value = itemgetter(column_index(str(path), columns.tag_column or "UPOS", NAMES, len(NAMES)))
    word = column_index(str(path), columns.word_column or "FORM", NAMES, len(NAMES))
    has_feature = False
    for block in _blocks(path, lines):
        rows = SentenceRows(path, columns.repair)
        for (number, cells), parts in _tokens(path, block):
            values = [value(part) for _, part in parts]
            has_feature |= any(value != _NO_VALUE for value in values)
            gap = "" if "SpaceAfter=No" in cells[_MISC].split("|") else " "
            rows.add(number, cells[word], "+".join(values), gap)
        yield from rows.sentence()
    if feature and not has_feature:
        raise FocusError(
            f"{path}: no word has the feature {feature!r}; give one in FEATS or MISC, or one of the columns "
            f"{', '.join(NAMES)}."
        )


def _is_feature(column: str | None) -> bool:
    return column is not None and column not in NAMES and not column.removeprefix("-").isdigit()


def _value(cells: Sequence[str], name: str) -> str:
    """The value of a feature or an entry of MISC; both columns are lists such as ``Case=Nom|Number=Sing``."""
    entries = (*cells[_FEATURES].split("|"), *cells[_MISC].split("|"))
    return next((entry.partition("=")[2] for entry in entries if entry.startswith(f"{name}=")), _NO_VALUE)


def _blocks(path: Path, lines: Iterable[str]) -> Iterator[list[_Row]]:
    """The rows of each sentence, without comments and empty nodes."""
    block: list[_Row] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            yield block
            block = []
        elif not line.startswith("#"):
            cells = line.split("\t")
            match = _ID.fullmatch(cells[0])
            if len(cells) != len(NAMES) or not match:
                raise FocusError(
                    f"{path}, line {number}: is not a line of CoNLL-U, which has ID and nine more columns, separated "
                    "by tabs."
                )
            if not match["empty"]:
                block.append((number, cells))
    yield block


def _tokens(path: Path, block: Sequence[_Row]) -> Iterator[tuple[_Row, Sequence[_Row]]]:
    """The row of each word of the raw text, and the rows of its syntactic words, usually the same row."""
    rows = iter(block)
    for number, cells in rows:
        first, _, last = cells[0].partition("-")
        if not last:
            yield (number, cells), [(number, cells)]
            continue
        wanted = [str(word) for word in range(int(first), min(int(last), int(first) + len(block)) + 1)]
        parts = [part for _, part in zip(wanted, rows, strict=False)]
        if [part[0] for _, part in parts] != wanted or not wanted:
            raise FocusError(f"{path}, line {number}: the words {first} to {last} are not on the lines after it.")
        yield (number, cells), parts
