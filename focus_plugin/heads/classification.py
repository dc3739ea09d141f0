"""Classes of texts, by fairseq's task ``sentence_prediction``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, read_lines
from focus_plugin.finetuning.declaration import Example, Finetuning, Forward, Preparation, Prepared, TaskHead
from focus_plugin.finetuning.options import FinetuningOptions
from focus_plugin.finetuning.tables import listed, read_table
from focus_plugin.options import option

if TYPE_CHECKING:
    from focus_export.head import ServingHead
    from torch import Tensor

    from focus_plugin.checkpoint.checkpoint import Checkpoint
    from focus_plugin.finetuning.kept_head import KeptHead

NAME = "classification"
LABELS = "labels.txt"  # beside a model that fairseq fine-tuned
_PREFIX = "classification_heads."


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a table."""

    label_column: str = option("label", help="Column with the labels or scores.")
    text_column: str = option("text", help="Column with the texts.")


def examples(path: Path, columns: Columns, progress: Progress) -> Iterator[Example]:
    """The rows of a table. Raises FocusError, with file and line, for a label that is empty or has a line break."""
    for line, (label, text) in read_table(path, (columns.label_column, columns.text_column), progress):
        label = label.strip()
        if not label:
            raise FocusError(f"{path}, line {line}: the column {columns.label_column!r} is empty.")
        if label.splitlines() != [label]:
            raise FocusError(f"{path}, line {line}: the label {label!r} has a line break in it.")
        yield Example(line, text, label)


def fault(head: "ServingHead", expected: str) -> str | None:
    """A sentence if the model does not have the label."""
    labels = _labels(head)
    return None if expected in labels else f"the model has no label {expected!r}; it has {listed(labels)}"


def prepare(given: Preparation) -> Prepared:
    """Write the data of fairseq's task ``sentence_prediction``.

    Raises FocusError, with file and line, for a text that is empty or too long, and for a label that the training table
    does not have.
    """
    from collections import Counter

    from focus_export.heads.classification import ClassificationHead

    from focus_plugin.finetuning.sentence_prediction import write_classes, write_texts

    written = {split: write_texts(given, split) for split in given.tables}
    counts = Counter(example.expected for example in written["train"].examples)
    labels = tuple(sorted(counts))
    if len(labels) < 2:
        raise FocusError(
            f"{given.tables['train']}: every row has the label {labels[0]!r}; a classifier needs at least two."
        )
    for split, table in given.tables.items():
        for example in written[split].examples:
            if example.expected not in counts:
                raise FocusError(
                    f"{table}, line {example.line}: the label {example.expected!r} is not in {given.tables['train']}, "
                    f"which has {listed(labels)}."
                )
        classes = [labels.index(example.expected) for example in written[split].examples]
        write_classes(given, split, classes, [counts[label] for label in labels])
    truncated = sum(split.truncated for split in written.values())
    return Prepared(
        head=ClassificationHead(labels),
        samples=len(written["train"].examples),
        counts={"labels": list(labels), "truncated": truncated},
    )


def fairseq_options(head: "ServingHead", options: FinetuningOptions) -> tuple[str, ...]:
    """The options for a new classification head, with the accuracy to choose the checkpoint by.

    fairseq rounds the accuracy to a tenth of a percent. Of the checkpoints with the highest accuracy on the validation
    table, the latest is chosen.
    """
    return (
        *("--task", "sentence_prediction", "--criterion", "sentence_prediction"),
        *("--num-classes", str(len(_labels(head))), "--classification-head-name", NAME),
        *("--init-token", "0", "--separator-token", "2"),
        *("--best-checkpoint-metric", "accuracy", "--maximize-best-checkpoint-metric"),
    )


def metrics(expected: Sequence[str], results: Sequence[Any]) -> Mapping[str, float]:
    """Accuracy and macro-F1 of the labels, between 0 and 1."""
    from sklearn.metrics import accuracy_score, f1_score

    found = [result.label for result in results]
    return {
        "accuracy": float(accuracy_score(expected, found)),
        "macro_f1": float(f1_score(expected, found, average="macro")),
    }


def forward(given: Forward) -> "dict[str, Tensor]":
    """fairseq's own head."""
    (head,) = given.model.classification_heads.values()
    return {"logits": head(given.hidden)}


def find(model: Path, checkpoint: "Checkpoint") -> "KeptHead | None":
    """The head of a model that fairseq fine-tuned, with ``labels.txt`` beside it.

    Raises FocusError if the model has several heads, or if the labels do not fit.
    """
    from focus_export.heads.classification import ClassificationHead

    from focus_plugin.finetuning.kept_head import kept_head

    names = sorted({name.split(".")[1] for name in checkpoint.task_heads if name.startswith(_PREFIX)})
    if not names:
        return None
    if len(names) > 1:
        raise FocusError(f"{model}: has the heads {', '.join(names)}; a model with one of them is needed here.")
    path, bias = model / LABELS, checkpoint.task_heads.get(f"{_PREFIX}{names[0]}.out_proj.bias")
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
    return kept_head(ClassificationHead(labels), f"{_PREFIX}{names[0]}.", checkpoint)


def _labels(head: "ServingHead") -> tuple[str, ...]:
    from focus_export.heads.classification import ClassificationHead

    assert isinstance(head, ClassificationHead)
    return head.labels


HEAD = TaskHead(
    name=NAME,
    summary="Choose one of several labels for each text.",
    columns=Columns,
    examples=examples,
    fault=fault,
    metrics=metrics,
    forward=forward,
    find=find,
    found_in=(LABELS,),
    finetuning=Finetuning(
        prepare=prepare,
        fairseq_options=fairseq_options,
        tensors=f"{_PREFIX}{NAME}.",
        refused={"--classification-head-name": "the program expects the name that it gives the head"},
    ),
)
