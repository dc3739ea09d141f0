"""Reads bilingual dictionaries: a word and its translation on each line."""

from collections.abc import Iterator, Sequence

from focus_plugin.text import TextFile

Entry = tuple[str, str]


def entries(files: Sequence[TextFile]) -> Iterator[tuple[str, Entry | None]]:
    """Yield the place (file and line) and the entry of each line that is not blank.

    A line with a tab has the word before it and the translation after it; both may be several words. A line without a
    tab has two words separated by white space, as in MUSE. The entry is None if the line has not exactly two sides.
    Raises FocusError as :meth:`TextFile.lines` does.
    """
    for file in files:
        for number, line in enumerate(file.lines(), 1):
            if line.strip():
                yield f"{file}, line {number}", _entry(line)


def _entry(line: str) -> Entry | None:
    sides = [side.strip() for side in line.split("\t")] if "\t" in line else line.split()
    return (sides[0], sides[1]) if len(sides) == 2 and all(sides) else None
