"""Pairs of texts: one of several labels for how they are related, or a score."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_export.heads.pairs import PairsHead

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress
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
)
from focus_plugin.finetuning.sequence import (
    label_loss,
    sequence_forward,
    sequence_module,
    sequence_tensors,
    write_sequences,
)
from focus_plugin.finetuning.tables import TwoTextColumns, read_texts, score_fault
from focus_plugin.options import option

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class PairsColumns(TwoTextColumns, LabelColumn):
    """The columns of a table."""


@dataclass(frozen=True, kw_only=True)
class PairsOptions(LabelOptions):
    """regression: whether the result is a score."""

    regression: bool = option(False, help="Predict a score, which is any number, instead of a label.")


def examples(path: Path, columns: PairsColumns, progress: Progress) -> Iterator[Example]:
    """The rows of a table; what is expected is the label or the score as it is written.

    Raises FocusError, with file and line, for a text that is empty.
    """
    for line, texts, (label,) in read_texts(path, columns, (), (columns.label_column,), progress):
        yield Example(line, texts, label.strip())


def fault(head: PairsHead, expected: str) -> str | None:
    """A sentence if the model does not have the label, or if a score is not a finite number."""
    return label_fault(head.labels, expected) if head.labels else score_fault(expected)


def parsed(head: PairsHead, expected: str) -> str | float:
    """The label, or the score as a number."""
    return expected if head.labels else float(expected)


def prepare(given: Preparation) -> Prepared:
    """Write the training samples.

    Raises FocusError, with file and line, for a pair that is too long; for a label that the training table does not
    have, and for a score that is not a finite number; and for a training table with one label or score only.
    """
    options = given.options
    assert isinstance(options, PairsOptions)
    if options.regression:
        if (options.class_weights, options.class_sampling, options.label_smoothing) != ("equal", "equal", 0):
            raise FocusError(
                "--class-weights, --class-sampling and --label-smoothing are for labels; with --regression, leave them "
                "out."
            )
        mean, deviation = _distribution(given)
        head = PairsHead(mean=mean, deviation=deviation)
        samples, truncated = write_sequences(given, head, lambda cell: [float(cell)])
        return Prepared(head=head, samples=samples, counts={"truncated": truncated})
    counts = count_labels(given)
    head = PairsHead(labels=tuple(counts))
    samples, truncated = write_sequences(given, head, lambda cell: [head.labels.index(cell)], options.copies(counts))
    return Prepared(
        head=head,
        samples=samples,
        counts={"labels": list(counts), "truncated": truncated},
        loss_settings=options.loss_settings(counts, samples, several=False),
    )


def metrics(expected: Sequence[Any], results: Sequence[Any]) -> Mapping[str, float]:
    """Of labels accuracy and macro-F1; of scores Spearman's and Pearson's correlation.

    A correlation is not defined, and here zero, if all scores of one side are equal.
    """
    if not isinstance(results[0], float):
        return label_metrics(expected, results)
    from scipy.stats import pearsonr, spearmanr

    defined = len(set(expected)) > 1 and len(set(results)) > 1
    return {
        name: float(correlation(expected, results)[0]) if defined else 0.0
        for name, correlation in (("spearman", spearmanr), ("pearson", pearsonr))
    }


def baseline(expected: Sequence[Any]) -> float:
    """The accuracy of the commonest label; the correlation with equal scores counts as zero."""
    return label_baseline(expected) if isinstance(expected[0], str) else 0.0


def compared(expected: Any, result: Any) -> Outcome:
    """The labels or the scores; the error of a score is its difference."""
    if isinstance(expected, str):
        return compared_labels(expected, result)
    return Outcome(f"{expected:.6g}", f"{result:.6g}", abs(expected - result), classes=False)


def module(head: PairsHead, width: int) -> "nn.ModuleDict":
    """New weights; those of a score are scaled to the training scores, which can have any unit."""
    import torch
    from torch import nn

    layers = sequence_module(head, width)
    out = layers["out_proj"]
    assert isinstance(out, nn.Linear)
    if not head.labels:
        with torch.no_grad():
            out.weight.mul_(head.deviation)
            out.bias.fill_(head.mean)
    return layers


def loss(given: Outputs) -> Loss:
    """Cross-entropy of labels; of scores the squared error, divided by the variance of the training scores."""
    if given.head.labels:
        return label_loss(given)
    errors = (given.outputs[0]["logits"][:, 0] - given.expected[:, 0]) / given.head.deviation
    return Loss(total=errors.square().sum(), count=len(errors))


def _distribution(given: Preparation) -> tuple[float, float]:
    """Mean and standard deviation of the training scores, after the scores of all tables were checked."""
    import numpy as np

    scores: dict[str, list[float]] = {}
    for split, table in given.tables.items():
        scores[split] = []
        for example in given.examples(table):
            if wrong := score_fault(example.expected):
                raise FocusError(f"{example.place}: {wrong}.")
            scores[split].append(float(example.expected))
    if len(set(scores["train"])) < 2:
        raise FocusError(f"{given.tables['train']}: every row has the score {scores['train'][0]}.")
    return float(np.mean(scores["train"])), float(np.std(scores["train"]))


HEAD = TaskHead(
    name="pairs",
    summary="Choose one of several labels, or predict a score, for each pair of texts.",
    columns=PairsColumns,
    examples=examples,
    fault=fault,
    parsed=parsed,
    metrics=metrics,
    baseline=baseline,
    compared=compared,
    module=module,
    forward=sequence_forward,
    finetuning=Finetuning(
        options=PairsOptions,
        prepare=prepare,
        loss=loss,
        tensors=sequence_tensors("pairs"),
    ),
)
