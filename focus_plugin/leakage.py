"""Finds texts of a validation or test file that are also in the training file, which makes results look too good."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from focus_plugin.files import Progress, silent
from focus_plugin.finetuning.tables import read_table
from focus_plugin.text import Text

SHOWN = 5  # number of places that a message names
LEAKAGE = "also_in_train"  # the key in the counts of a manifest

# A function that yields the place of each text, as messages name it, and the text. Each call starts at the beginning.
Texts = Callable[[], Iterator[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """How many texts of a file are also in the training file.

    texts: the number of texts in the file that are not empty. shared: how many of them are also in the training file.
    places: the places of the first SHOWN of these, in the file and in the training file.
    """

    texts: int
    shared: int
    places: tuple[tuple[str, str], ...]

    def sentence(self, name: str) -> str:
        """A warning about the file ``name``, such as "valid"."""
        found = f"{name}: {self.shared:,} of {self.texts:,} texts are also in train ({self.shared / self.texts:.1%})"
        places = "; ".join(f"{here} equals {there} of train" for here, there in self.places)
        return f"{found}: {places}{'; and so on' if self.shared > len(self.places) else ''}."


def leakage(train: Texts, others: Mapping[str, Texts]) -> dict[str, Leakage]:
    """How many texts of each of ``others``, by name, are also in ``train``. White space is ignored.

    The memory needed depends on the number of texts in ``others``, not on that in ``train``.
    """
    seen = Seen(others)
    for place, text in train():
        seen.note(place, text)
    return seen.leakage()


class Seen:
    """Which of the texts of ``others``, by name, have been seen in a training text."""

    def __init__(self, others: Mapping[str, Texts]) -> None:
        self._others = others
        self._wanted = {key for texts in others.values() for _, key in _keys(texts)}
        self._places: dict[int, str] = {}

    def note(self, place: str, text: str) -> None:
        """A text is at this place of the training text."""
        if (words := text.split()) and (key := _key(words)) in self._wanted:
            self._places.setdefault(key, place)

    def leakage(self) -> dict[str, Leakage]:
        """How many of the texts have been seen."""
        return {name: _leakage(texts, self._places) for name, texts in self._others.items()}


@dataclass(frozen=True)
class Watched:
    """A training text whose lines are noted while they are read. named: whether places name their file."""

    text: Text
    seen: Seen
    named: bool

    def __str__(self) -> str:
        return str(self.text)

    def lines(self, progress: Progress = silent) -> Iterator[str]:
        """The lines of the text; see ``Text.lines``."""
        for place, line in lines_of(self.text, progress, self.named)():
            self.seen.note(place, line)
            yield line


def _leakage(texts: Texts, in_train: Mapping[int, str]) -> Leakage:
    count = shared = 0
    places: list[tuple[str, str]] = []
    for place, key in _keys(texts):
        count += 1
        if key in in_train:
            shared += 1
            if len(places) < SHOWN:
                places.append((place, in_train[key]))
    return Leakage(texts=count, shared=shared, places=tuple(places))


def _keys(texts: Texts) -> Iterator[tuple[str, int]]:
    for place, text in texts():
        if words := text.split():
            yield place, _key(words)


def _key(words: list[str]) -> int:
    return hash(" ".join(words))


def lines_of(text: Text, progress: Progress = silent, named: bool = False) -> Texts:
    """The lines of ``text`` with their places. A place names the file if there are several, or if ``named``."""

    def lines() -> Iterator[tuple[str, str]]:
        """The place and the text of each line."""
        for file in text.files:
            name = f"{file.path.name}, " if named or len(text.files) > 1 else ""
            for number, line in enumerate(file.lines(progress), 1):
                yield f"{name}line {number}", line

    return lines


def cells_of(text: Text, column: str) -> Texts:
    """The cells of ``column`` in one or several tab-separated tables, with their places as in :func:`lines_of`."""
    several = len(text.files) > 1

    def cells() -> Iterator[tuple[str, str]]:
        """The place and the text of each cell."""
        for file in text.files:
            name = f"{file.path.name}, " if several else ""
            for number, (cell,) in read_table(file.path, (column,)):
                yield f"{name}line {number}", cell

    return cells


def as_counts(found: Mapping[str, Leakage]) -> dict[str, Any]:
    """``found`` as JSON values for the counts of a manifest."""
    return {name: asdict(entry) for name, entry in found.items()}


def leakage_warnings(counts: Mapping[str, Any]) -> list[str]:
    """A sentence for each file that shares texts with the training file; ``counts``: the result of as_counts."""
    found = {name: Leakage(**{**entry, "places": tuple(map(tuple, entry["places"]))}) for name, entry in counts.items()}
    return [entry.sentence(name) for name, entry in found.items() if entry.shared]
