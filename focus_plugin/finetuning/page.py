"""Writes an evaluation as one HTML file that loads no other file: metrics, confusion of labels, the worst errors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from focus_plugin.files import whole_file
from focus_plugin.finetuning.declaration import Outcome
from focus_plugin.finetuning.mistakes import Confusion, Mistake, mistake_cells
from focus_plugin.report.parts import head, part

_SHOWN = 200  # errors on the page
_LABELS = 40  # with more, the confusion is left out


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
    page = Template(part("page.html", "focus_plugin.finetuning")).substitute(
        head=head(found.title, part("page.css")),
        title=escape(found.title),
        summary=escape(f"{len(found.compared):,} samples: {metrics}."),
        confusion=_confusion(found.compared),
        errors=_table(("line", "expected", "predicted", *found.inputs), map(mistake_cells, shown), 1),
        how_many=f"{len(shown):,} of {len(found.mistakes):,}",
    )
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _confusion(compared: Sequence[Outcome]) -> str:
    """The sections about labels, if the results are of a limited number of kinds."""
    if not all(result.classes for result in compared):
        return ""
    confusion = Confusion.of(compared)
    labels = confusion.labels
    if len(labels) > _LABELS:
        return ""
    counts = [(label, *map(str, row)) for label, row in zip(labels, confusion.counts, strict=True)]
    scores = [
        (label, *(f"{value:.3f}" for value in confusion.scores(number)), str(sum(confusion.counts[number])))
        for number, label in enumerate(labels)
    ]
    matrix = _table(("expected \\ predicted", *labels), counts, len(labels) + 1, names=1)
    of_labels = _table(("label", "precision", "recall", "F1", "samples"), scores, 5, names=1)
    return Template(part("confusion.html", "focus_plugin.finetuning")).substitute(matrix=matrix, scores=of_labels)


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]], numbers: int, names: int = 0) -> str:
    """A table whose columns from ``names`` to ``numbers`` are numbers."""

    def row(tag: str, line: Sequence[str]) -> str:
        classes = (' class="number"' if names <= i < numbers else "" for i in range(len(line)))
        return "".join(f"<{tag}{of}>{escape(cell)}</{tag}>" for cell, of in zip(line, classes, strict=True))

    body = "\n".join(f"<tr>{row('td', line)}</tr>" for line in lines)
    return f"<table><thead><tr>{row('th', columns)}</tr></thead>\n<tbody>{body}</tbody></table>"
