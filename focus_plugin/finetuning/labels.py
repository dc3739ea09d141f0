"""Labels in the tables of tasks that choose one of several."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Preparation
from focus_plugin.finetuning.tables import listed

_SHOWN = 20  # labels in a message


def read_label(cell: str, column: str, place: str) -> str:
    """The label in a cell of ``column``; ``place``: its file and line.

    Raises FocusError if it is empty or has a line break, which the files of labels could not hold.
    """
    label = cell.strip()
    if not label:
        raise FocusError(f"{place}: the column {column!r} is empty.")
    if label.splitlines() != [label]:
        raise FocusError(f"{place}: the label {label!r} has a line break in it.")
    return label


def count_labels(given: Preparation) -> Counter[str]:
    """How many training examples have each label, sorted by label.

    Raises FocusError if all have the same, and, with file and line, for a label that the training table does not have.
    """
    train = given.tables["train"]
    counts = Counter(example.expected for example in given.examples(train))
    if len(counts) < 2:
        raise FocusError(f"{train}: every row has the label {next(iter(counts))!r}; at least two are needed.")
    labels = sorted(counts)
    for table in (table for split, table in given.tables.items() if split != "train"):
        for example in given.examples(table):
            if example.expected not in counts:
                raise FocusError(
                    f"{table}, line {example.line}: the label {example.expected!r} is not in {train}, which has "
                    f"{_some(labels)}."
                )
    return Counter({label: counts[label] for label in labels})


def label_fault(labels: Sequence[str], expected: str) -> str | None:
    """A sentence if a model with ``labels`` does not have the expected one."""
    return None if expected in labels else f"the model has no label {expected!r}; it has {_some(labels)}"


def label_metrics(expected: Sequence[str], results: Sequence[Any]) -> Mapping[str, float]:
    """Accuracy and macro-F1 of the labels, between 0 and 1."""
    from sklearn.metrics import accuracy_score, f1_score

    found = [result.label for result in results]
    return {
        "accuracy": float(accuracy_score(expected, found)),
        "macro_f1": float(f1_score(expected, found, average="macro")),
    }


def _some(labels: Sequence[str]) -> str:
    return listed(labels[:_SHOWN]) + (f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else "")
