"""Labels in the tables of tasks that choose one or several of them: what tasks share of reading, loss and metrics."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Outcome, Preparation
from focus_plugin.finetuning.options import Kind, SamplingOptions
from focus_plugin.finetuning.tables import listed
from focus_plugin.options import option

_SHOWN = 20  # labels in a message


@dataclass(frozen=True, kw_only=True)
class LabelColumn:
    """The column of a table with what is expected."""

    label_column: str = option("label", help="Column with the labels or scores.")


@dataclass(frozen=True, kw_only=True)
class LabelOptions(SamplingOptions):
    """class_weights: of the labels in the loss. label_smoothing: the share of what is expected that is divided equally
    among all labels (Szegedy et al. 2016, section 7)."""

    class_weights: str = option(
        "equal",
        choices=("equal", "balanced"),
        help="Weights of the labels in the loss; balanced: the rarer a label is in the training table, the larger.",
    )
    label_smoothing: float = option(
        0.0, minimum=0, maximum=0.9, help="Share of the expected probability that is divided among all labels."
    )

    def loss_settings(self, counts: Mapping[str, int], examples: int, several: bool) -> dict[str, object]:
        """The settings of the loss. counts: how many of the training examples have each label. several: whether an
        example can have several labels; its weights are then those of having the label, relative to not having it.

        Balanced weights of one label are scikit-learn's, so their mean over the examples is one.
        """
        weights = [1.0] * len(counts)
        if self.class_weights == "balanced" and several:
            weights = [max(1, examples - count) / count for count in counts.values()]
        elif self.class_weights == "balanced":
            weights = [examples / (len(counts) * count) for count in counts.values()]
        return {"weights": weights, "smoothing": self.label_smoothing}

    def copies(self, counts: Mapping[Kind, int]) -> Mapping[Kind, int]:
        """How many times an epoch has each example of a label. Raises FocusError if their weights are balanced too."""
        if self.class_sampling == self.class_weights == "balanced":
            raise FocusError("Give --class-weights balanced or --class-sampling balanced, not both.")
        return super().copies(counts)


def split_labels(cell: str, separator: str) -> tuple[str, ...]:
    """The labels in a cell: one, or any number of them between separators if there is a ``separator``."""
    if not separator:
        return (cell,)
    return tuple(label.strip() for label in cell.split(separator)) if cell else ()


def cell_fault(cell: str, separator: str) -> str | None:
    """A sentence if a label in a cell is empty, is repeated, or has a line break, which would break lists of labels."""
    labels = split_labels(cell, separator)
    if "" in labels:
        return f"{cell!r} has an empty label" if separator else "the label is empty"
    for number, label in enumerate(labels):
        if label.splitlines() != [label]:
            return f"the label {label!r} has a line break in it"
        if label in labels[:number]:
            return f"the label {label!r} is there twice"
    return None


def count_labels(given: Preparation, separator: str = "") -> dict[str, int]:
    """How many training examples have each label, sorted by label.

    Raises FocusError, with file and line, for a label that is wrong (see :func:`cell_fault`), that looks like another
    one, or that the training table does not have; and if all training examples have the same labels, or none has one.
    """
    train, counts, written, rows = given.tables["train"], Counter[str](), dict[str, str](), 0
    for split, table in given.tables.items():
        for example in given.examples(table):
            labels = split_labels(example.expected, separator)
            fault = cell_fault(example.expected, separator) or _twin_fault(labels, written)
            if not fault and split == "train":
                counts.update(labels)
                rows += 1
            elif not fault and (strange := [label for label in labels if label not in counts]):
                fault = f"the label {strange[0]!r} is not in {train}, which has {_some(sorted(counts))}"
            if fault:
                raise FocusError(f"{example.place}: {fault}.")
        if not counts:
            raise FocusError(f"{train}: no row has a label.")
        if set(counts.values()) == {rows}:
            needed = "some rows must lack one" if separator else "at least two are needed"
            raise FocusError(
                f"{train}: every row has the label{'s' if len(counts) > 1 else ''} {_some(sorted(counts))}; {needed}."
            )
    return {label: counts[label] for label in sorted(counts)}


def _twin_fault(labels: Sequence[str], written: dict[str, str]) -> str | None:
    """A sentence if a label looks like another one that was found before.

    ``written``: the labels found before, by their text in composed characters and with single spaces; it is extended.
    """
    for label in labels:
        before = written.setdefault(" ".join(unicodedata.normalize("NFC", label).split()), label)
        if label != before:
            return (
                f"the label {label!r} looks like {before!r} of an earlier row, but differs in white space or in "
                "how its accents are encoded; write both alike"
            )
    return None


def label_fault(labels: Sequence[str], cell: str, separator: str = "") -> str | None:
    """A sentence if a cell has a fault, or a label that a model with ``labels`` does not have."""
    strange = [label for label in split_labels(cell, separator) if label not in labels]
    unknown = f"the model has no label {strange[0]!r}; it has {_some(labels)}" if strange else None
    return cell_fault(cell, separator) or unknown


def label_metrics(expected: Sequence[str], results: Sequence[Any]) -> Mapping[str, float]:
    """Accuracy and macro-F1 of labels, between 0 and 1."""
    from sklearn.metrics import accuracy_score, f1_score

    found = [result.label for result in results]
    return {
        "accuracy": float(accuracy_score(expected, found)),
        "macro_f1": float(f1_score(expected, found, average="macro")),
    }


def compared_labels(expected: str, result: Any) -> Outcome:
    """The expected and the predicted label."""
    return Outcome(expected, result.label, float(expected != result.label))


def label_baseline(expected: Sequence[str]) -> float:
    """The accuracy of always giving the commonest label."""
    return max(Counter(expected).values()) / len(expected)


def several_label_metrics(expected: Sequence[Sequence[str]], results: Sequence[Any]) -> Mapping[str, float]:
    """Micro-F1, macro-F1 and the share of examples of which all labels are right, between 0 and 1.

    Macro-F1 is the mean over the labels that occur among the expected or the predicted ones.
    """
    import numpy as np
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.preprocessing import MultiLabelBinarizer

    found = [result.labels for result in results]
    binarizer = MultiLabelBinarizer().fit([*expected, *found])
    wanted, predicted = (np.asarray(binarizer.transform(side)) for side in (expected, found))
    micro, macro = (
        float(f1_score(wanted, predicted, average=average)) if wanted.size else 1.0 for average in ("micro", "macro")
    )
    exact = float(accuracy_score(wanted, predicted)) if wanted.size else 1.0
    return {"micro_f1": micro, "macro_f1": macro, "exact_match": exact}


def _some(labels: Sequence[str]) -> str:
    return listed(labels[:_SHOWN]) + (f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else "")
