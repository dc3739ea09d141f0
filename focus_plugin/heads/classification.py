"""Classes of texts: one of several labels, or any number of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_export.heads.classification import ClassificationHead
from focus_export.sequence_head import Classification, Classifications

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, read_lines
from focus_plugin.finetuning.declaration import (
    Example,
    Finetuning,
    Loss,
    Outcome,
    Outputs,
    Preparation,
    Prepared,
    TaskHead,
)
from focus_plugin.finetuning.labels import (
    LabelColumn,
    LabelOptions,
    compared_labels,
    count_labels,
    label_baseline,
    label_fault,
    label_metrics,
    several_label_metrics,
    split_labels,
)
from focus_plugin.finetuning.sequence import (
    label_loss,
    sequence_forward,
    sequence_module,
    sequence_tensors,
    several_label_loss,
    write_sequences,
)
from focus_plugin.finetuning.tables import read_table
from focus_plugin.finetuning.thresholds import best_threshold
from focus_plugin.options import option

if TYPE_CHECKING:
    from focus_plugin.checkpoint.checkpoint import Checkpoint
    from focus_plugin.finetuning.kept_head import KeptHead

NAME = "classification"
LABELS_FILE = "labels.txt"  # beside a model that fairseq fine-tuned
_PREFIX = sequence_tensors("")[:-1]


@dataclass(frozen=True, kw_only=True)
class ClassificationColumns(LabelColumn):
    """The columns of a table."""

    text_column: str = option(
        "text", help="Column with the texts; several, such as headline,text, are joined by a space."
    )


@dataclass(frozen=True, kw_only=True)
class ClassificationOptions(LabelOptions):
    """multi_label: whether a text can have several labels or none. label_separator: between the labels of a text."""

    multi_label: bool = option(False, help="A text can have several labels, or none.")
    label_separator: str = option(",", help="What is between the labels of a text, for --multi-label.")


def examples(path: Path, columns: ClassificationColumns, progress: Progress) -> Iterator[Example]:
    """The rows of a table; what is expected is the cell with the labels."""
    names = columns.text_column.split(",")
    for line, (cell, *texts) in read_table(path, (columns.label_column, *names), progress):
        yield Example(line, " ".join(texts), cell.strip())


def fault(head: ClassificationHead, expected: str) -> str | None:
    """A sentence if the model does not have a label."""
    return label_fault(head.labels, expected, head.separator)


def parsed(head: ClassificationHead, expected: str) -> str | tuple[str, ...]:
    """The label, or the labels."""
    return split_labels(expected, head.separator) if head.separator else expected


def prepare(given: Preparation) -> Prepared:
    """Write the training samples.

    Raises FocusError, with file and line, for a text that is empty or too long, and for a label that the training table
    does not have.
    """
    options = given.options
    assert isinstance(options, ClassificationOptions)
    separator = options.label_separator if options.multi_label else ""
    if options.multi_label and not separator.strip():
        raise FocusError("--label-separator must be a character that is no white space.")
    if options.multi_label and options.class_sampling != "equal":
        raise FocusError("--class-sampling is for texts with one label; with --multi-label, give --class-weights.")
    counts = count_labels(given, separator)
    labels = tuple(counts)
    head = ClassificationHead(labels, separator, (0.5,) * len(labels) if separator else ())

    def numbers(cell: str) -> list[float]:
        own = split_labels(cell, separator)
        return [float(label in own) for label in labels] if separator else [labels.index(cell)]

    copies = {} if separator else options.copies(counts)
    samples, truncated = write_sequences(given, head, numbers, copies)
    return Prepared(
        head=head,
        samples=samples,
        counts={"labels": list(labels), "truncated": truncated},
        loss_settings=options.loss_settings(counts, samples, several=options.multi_label),
    )


def loss(given: Outputs) -> Loss:
    """Cross-entropy, or binary cross-entropy of each label."""
    return several_label_loss(given) if given.head.separator else label_loss(given)


def metrics(expected: Sequence[Any], results: Sequence[Any]) -> Mapping[str, float]:
    """Those of one label, or of several."""
    one = isinstance(results[0], Classification)
    return label_metrics(expected, results) if one else several_label_metrics(expected, results)


def baseline(expected: Sequence[Any]) -> float:
    """The accuracy of the commonest label, or the micro-F1 of the commonest labels."""
    if isinstance(expected[0], str):
        return label_baseline(expected)
    [(commonest, _)] = Counter(tuple(sorted(labels)) for labels in expected).most_common(1)
    return several_label_metrics(expected, [Classifications(commonest, {})] * len(expected))["micro_f1"]


def compared(expected: Any, result: Any) -> Outcome:
    """The labels; the error is the number of those that are expected or predicted, but not both."""
    if isinstance(expected, str):
        return compared_labels(expected, result)
    different = {*expected} ^ {*result.labels}
    sides = (expected, result.labels)
    wanted, found = (", ".join(sorted(labels)) for labels in sides)
    return Outcome(wanted, found, float(len(different)), several=sides)


def adjust(head: ClassificationHead, expected: Sequence[Any], results: Sequence[Classifications]) -> ClassificationHead:
    """The head with the thresholds that have the highest F1 of each label, if a text can have several."""
    if not head.separator:
        return head
    thresholds = (
        best_threshold([result.scores[label] for result in results], [label in labels for labels in expected])
        for label in head.labels
    )
    return replace(head, thresholds=tuple(thresholds))


def find(model: Path, checkpoint: "Checkpoint") -> "KeptHead | None":
    """The head of a model that fairseq fine-tuned, with ``labels.txt`` beside it.

    Raises FocusError if the model has several heads, or if the labels do not fit.
    """
    from focus_plugin.finetuning.kept_head import kept_head

    names = sorted({name.split(".")[1] for name in checkpoint.task_heads if name.startswith(_PREFIX)})
    if not names:
        return None
    if len(names) > 1:
        raise FocusError(f"{model}: has the heads {', '.join(names)}; a model with one of them is needed here.")
    prefix = sequence_tensors(names[0])
    path, bias = model / LABELS_FILE, checkpoint.task_heads.get(f"{prefix}out_proj.bias")
    if bias is None:
        raise FocusError(
            f"{model}: its head {names[0]} has no out_proj.bias, so it is not a classification head of fairseq's."
        )
    if not path.is_file():
        raise FocusError(
            f"{path}: no such file; it must have the labels of the head's {len(bias)} classes, one per line."
        )
    labels = tuple(read_lines(path))
    if len(labels) != len(bias):
        raise FocusError(f"{path}: has {len(labels)} labels, but the model's head {len(bias)} classes.")
    if wrong := ClassificationHead(labels).fault():
        raise FocusError(f"{path}: {wrong}.")
    return kept_head(ClassificationHead(labels), prefix, checkpoint)


HEAD = TaskHead(
    name=NAME,
    summary="Choose one of several labels, or any number of them, for each text.",
    columns=ClassificationColumns,
    examples=examples,
    fault=fault,
    parsed=parsed,
    metrics=metrics,
    baseline=baseline,
    compared=compared,
    module=sequence_module,
    forward=sequence_forward,
    find=find,
    found_in=(LABELS_FILE,),
    finetuning=Finetuning(
        options=ClassificationOptions,
        prepare=prepare,
        loss=loss,
        tensors=sequence_tensors(NAME),
        adjust=adjust,
    ),
)
