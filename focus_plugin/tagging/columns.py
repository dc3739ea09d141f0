"""The options for reading tables of tagged words, and the place of a column."""

from collections.abc import Sequence
from dataclasses import dataclass

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.tables import listed
from focus_plugin.options import option
from focus_plugin.tagging.schemes import SCHEMES

FORMATS = ("conll", "conllu", "jsonl")


@dataclass(frozen=True, kw_only=True)
class TagColumns:
    """How a table of tagged words is read."""

    table_format: str = option(
        "auto",
        choices=("auto", *FORMATS),
        help="Format of a table of tags; auto: CoNLL-U or JSON Lines by the end of its name, else CoNLL.",
    )
    word_column: str | None = option(
        None,
        help="Column with the words, by name or by number from 1; by default the first one, FORM in CoNLL-U, tokens in "
        "JSON Lines.",
    )
    tag_column: str | None = option(
        None,
        help="Column with the tags, by name or by number from 1, or a feature such as Case in CoNLL-U; by default the "
        "last one, UPOS in CoNLL-U, tags or spans in JSON Lines.",
    )
    scheme: str = option(
        "auto", choices=("auto", *SCHEMES), help="Scheme of the tags; auto: recognized from the tags of each table."
    )
    repair: bool = option(
        False,
        help="Let an entity begin where a tag does not continue one, and leave out lines without a word, instead of "
        "refusing them.",
    )
    accept_unknown_tags: bool = option(
        False, help="Count words with a tag that the training table lacks as wrong, instead of refusing their table."
    )


def column_index(place: str, column: str, names: Sequence[str], width: int) -> int:
    """The index of a column that is given by its name or its number, which counts from 1, or from the end if negative.

    place: the file and line that an error names. width: the number of columns. Raises FocusError if there is no such
    column.
    """
    if column in names:
        return names.index(column)
    digits = column.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        known = f"; the table has {listed(names)}" if names else "; give its number, since the columns have no names"
        raise FocusError(f"{place}: there is no column {column!r}{known}.")
    if not 1 <= int(digits) <= width:
        raise FocusError(f"{place}: there is no column {column}; the line has {width}.")
    return int(column) % width if column.startswith("-") else int(column) - 1
