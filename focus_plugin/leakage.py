"""Texts of a validation or test file that stand in the training file, too: a result on them says too much."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from focus_plugin.files import Progress, silent
from focus_plugin.finetuning.tables import read_table
from focus_plugin.text import Text

SHOWN = 5  # places are named
LEAKAGE = "also_in_train"  # its place in a manifest's counts

# The place of each text, as messages name it, and the text. Called, it begins anew.
Texts = Callable[[], Iterator[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """How much of a file stands in the training file, too.

    texts: of the file, empty ones left out. shared: how many of them stand in both. places: of the first SHOWN of
    these, in the file and in the training file.
    """

    texts: int
    shared: int
    places: tuple[tuple[str, str], ...]

    def sentence(self, name: str) -> str:
        """What to say of the file ``name``, such as valid."""
        found = f"{name}: {self.shared:,} of {self.texts:,} texts stand in train, too ({self.shared / self.texts:.1%})"
        places = "; ".join(f"{here} is {there} of train" for here, there in self.places)
        return f"{found}: {places}{'; and so on' if self.shared > len(self.places) else ''}."


def leakage(train: Texts, others: Mapping[str, Texts]) -> dict[str, Leakage]:
    """How much of each of ``others``, by name, stands in ``train``, too. Texts are compared but for white space.

    Memory grows with the number of the others' texts, not with that of ``train``.
    """
    wanted = {key for texts in others.values() for _, key in _keys(texts)}
    in_train: dict[int, str] = {}
    for place, key in _keys(train):
        if key in wanted:
            in_train.setdefault(key, place)
    return {name: _leakage(texts, in_train) for name, texts in others.items()}


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
            yield place, hash(" ".join(words))


def lines_of(text: Text, progress: Progress = silent) -> Texts:
    """The lines of ``text`` with their places; the file is named if there are several."""

    def lines() -> Iterator[tuple[str, str]]:
        for file in text.files:
            name = f"{file.path.name}, " if len(text.files) > 1 else ""
            for number, line in enumerate(file.lines(progress), 1):
                yield f"{name}line {number}", line

    return lines


def cells_of(text: Text, column: str) -> Texts:
    """The cells of ``column`` of one or several tab-separated tables, likewise."""
    several = len(text.files) > 1

    def cells() -> Iterator[tuple[str, str]]:
        for file in text.files:
            name = f"{file.path.name}, " if several else ""
            for number, (cell,) in read_table(file.path, (column,)):
                yield f"{name}line {number}", cell

    return cells


def as_counts(found: Mapping[str, Leakage]) -> dict[str, Any]:
    """For a manifest."""
    return {name: asdict(entry) for name, entry in found.items()}


def warnings(counts: Mapping[str, Any]) -> list[str]:
    """A sentence for each file that shares texts with the training file, from what :func:`as_counts` made."""
    found = {name: Leakage(**{**entry, "places": tuple(map(tuple, entry["places"]))}) for name, entry in counts.items()}
    return [entry.sentence(name) for name, entry in found.items() if entry.shared]
