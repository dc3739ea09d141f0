"""Writes an evaluation as one HTML file that loads no other file: metrics, confusion of labels, the worst errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from focus_plugin.files import whole_file
from focus_plugin.finetuning.declaration import Outcome
from focus_plugin.finetuning.mistakes import Confusion, Mistake, label_counts, mistake_cells
from focus_plugin.report.parts import head, part, table

_SHOWN = 200  # errors on the page
_LABELS = 40  # with more, their confusion is left out


@dataclass(frozen=True)
class Evaluated:
    """title: the model and the table. inputs: the names of the texts. metrics: by name. compared: every sample's result
    with the expected one. mistakes: the wrong ones, the worst first."""

    title: str
    inputs: Sequence[str]
    metrics: Mapping[str, float]
    compared: Sequence[Outcome]
    mistakes: Sequence[Mistake]


def write_evaluation(path: Path, found: Evaluated) -> None:
    """Write the page of an evaluation to ``path``; the same input gives the same bytes."""
    metrics = ", ".join(f"{name.replace('_', '-')} {value:.3f}" for name, value in found.metrics.items())
    shown = found.mistakes[:_SHOWN]
    page = _template("page.html").substitute(
        head=head(found.title, part("page.css")),
        title=escape(found.title),
        summary=escape(f"{len(found.compared):,} samples: {metrics}."),
        labels=_labels(found.compared),
        errors=table(("line", "expected", "predicted", *found.inputs), map(mistake_cells, shown), {0}),
        how_many=f"{len(shown):,} of {len(found.mistakes):,}",
    )
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _labels(compared: Sequence[Outcome]) -> str:
    """The sections about labels, if the results are of a limited number of kinds."""
    if not all(result.classes for result in compared):
        return ""
    counts = label_counts(compared)
    one = not any(result.several for result in compared)
    matrix = _confusion(Confusion.of(compared)) if one and len(counts) <= _LABELS else ""
    rows = [
        (of.label, *map(str, (of.expected, of.predicted, of.right)), *(f"{score:.3f}" for score in of.scores))
        for of in counts
    ]
    columns = ("label", "expected", "predicted", "right", "precision", "recall", "F1")
    return matrix + _template("labels.html").substitute(labels=table(columns, rows, range(1, len(columns))))


def _confusion(confusion: Confusion) -> str:
    labels = confusion.labels
    counts = [(label, *map(str, row)) for label, row in zip(labels, confusion.counts, strict=True)]
    matrix = table(("expected \\ predicted", *labels), counts, range(1, len(labels) + 1))
    return _template("confusion.html").substitute(matrix=matrix)


def _template(name: str) -> Template:
    return Template(part(name, "focus_plugin.finetuning"))
