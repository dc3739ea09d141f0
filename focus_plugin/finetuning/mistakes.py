"""The samples of a table for which a model is wrong, and which labels it confuses."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.files import whole_file
from focus_plugin.finetuning.declaration import Example, Outcome


@dataclass(frozen=True)
class Mistake:
    """place: line of the table, with the file if it has several. texts: of the sample. compared: the wrong result."""

    place: str
    texts: tuple[str, ...]
    compared: Outcome


def mistakes(examples: Sequence[Example], compared: Sequence[Outcome]) -> list[Mistake]:
    """The samples with an error, the largest first, then in the order of the table."""
    files = len({example.file for example in examples})
    found = [
        Mistake(example.place_in(files).removeprefix("line "), tuple(map(str, _texts(example))), result)
        for example, result in zip(examples, compared, strict=True)
        if result.error
    ]
    return sorted(found, key=lambda mistake: -mistake.compared.error)


def write_mistakes(path: Path, inputs: Sequence[str], found: Sequence[Mistake]) -> None:
    """Write a table with the columns line, expected, predicted and those of the texts, ``inputs``."""
    with whole_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for cells in (("line", "expected", "predicted", *inputs), *map(mistake_cells, found)):
            file.write("\t".join(" ".join(cell.split()) for cell in cells) + "\n")


def mistake_cells(mistake: Mistake) -> tuple[str, ...]:
    """Line, expected, predicted and the texts."""
    return (mistake.place, mistake.compared.expected, mistake.compared.predicted, *mistake.texts)


@dataclass(frozen=True)
class Confusion:
    """How often each label was predicted for each expected one: counts[expected][predicted], in the order of labels."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, compared: Sequence[Outcome]) -> "Confusion":
        """Of all samples of a table."""
        pairs = Counter((result.expected, result.predicted) for result in compared)
        labels = tuple(sorted({label for pair in pairs for label in pair}))
        return cls(labels, tuple(tuple(pairs[one, other] for other in labels) for one in labels))


@dataclass(frozen=True)
class LabelCounts:
    """A label, for how many samples it is expected and predicted, and for how many of both: these are right."""

    label: str
    expected: int
    predicted: int
    right: int

    @property
    def scores(self) -> tuple[float, float, float]:
        """Precision, recall and F1; 0 where a division is by zero."""
        both = self.predicted + self.expected
        return self.right / max(1, self.predicted), self.right / max(1, self.expected), 2 * self.right / max(1, both)


def label_counts(compared: Sequence[Outcome]) -> list[LabelCounts]:
    """Those of each label, also of samples that have several."""
    expected, predicted, right = Counter[str](), Counter[str](), Counter[str]()
    for result in compared:
        wanted, found = map(set, result.labels)
        expected.update(wanted)
        predicted.update(found)
        right.update(wanted & found)
    labels = sorted(expected | predicted)
    return [LabelCounts(label, expected[label], predicted[label], right[label]) for label in labels]


def _texts(example: Example) -> tuple[str, ...]:
    return example.sample if isinstance(example.sample, tuple) else (example.sample,)
