"""Computes the metrics of a model with a head on a table: of a fine-tuned model, or of its ONNX export."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from focus_export.directory import ONNX_MODEL, read_export
from focus_export.head import ServingHead
from focus_export.runtime import Predictor

from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint
from focus_plugin.checkpoint.release import RELEASE_MODEL
from focus_plugin.errors import FocusError
from focus_plugin.files import require_place
from focus_plugin.finetuning.declaration import Example, Outcome, TaskHead, checked_examples
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.evaluation import Predict, baseline_of, evaluated, torch_pipeline, variant_metrics
from focus_plugin.finetuning.head_file import read_kept_head
from focus_plugin.finetuning.mistakes import mistakes, write_mistakes
from focus_plugin.finetuning.options import TableEvaluation
from focus_plugin.finetuning.page import Evaluated, write_evaluation
from focus_plugin.forecast.evaluation import table_forecast
from focus_plugin.forecast.forecast import AT_ONCE, Launch, begin
from focus_plugin.options import build, declared
from focus_plugin.progress import Phase, no_phase
from focus_plugin.text import Text


@dataclass(frozen=True, kw_only=True)
class TableMetrics:
    """metrics: by name, the decisive one first. samples: their number in the table. baseline: see ``baseline_of``."""

    metrics: Mapping[str, float]
    samples: int
    baseline: float | None


def evaluate_table(job: TableEvaluation, phase: Phase = no_phase, launch: Launch = AT_ONCE) -> TableMetrics:
    """The metrics of the model on the table.

    Also writes the files ``job.errors`` and ``job.report``. Raises FocusError for faults of the table, for an encoder
    without a head, for options of another task, and if one of these files exists.
    """
    assert job.table
    for path in (job.errors, job.report):
        if path and path.exists():
            raise FocusError(f"{path}: exists already; remove it, or choose another file.")
        if path:
            require_place(path)
    if job.errors and job.errors == job.report:
        raise FocusError(f"{job.errors}: is named by --errors and by --report; choose another file for one of them.")
    model = _exported(job) if (job.model / ONNX_MODEL).is_file() else _released(job)
    task = find_task(model.head.name)
    if strange := sorted(job.columns.keys() - {entry.name for entry in declared(task.columns)}):
        raise FocusError(f"{job.model}: is a model for {task.name}, whose tables have no option {strange[0]}.")
    table = Text.of(*job.table)
    try:
        examples = list(checked_examples(task, model.head, table, build(task.columns, job.columns), phase))
    except FocusError as error:
        raise FocusError(f"{error} ({job.model} is a model for {task.name}.)") from error
    if any(example.expected is None for example in examples):
        raise FocusError(f"{table}: has no expected results for {task.name}, so there is nothing to compare with.")
    if (job.errors or job.report) and not (task.compared or task.compared_together):
        raise FocusError(f"{job.model}: is a model for {task.name}, for which there is neither --errors nor --report.")
    size = sum(path.stat().st_size for path in model.files)
    begin(table_forecast(task, examples, table, size, model.load), launch)
    metrics, results = evaluated(task, model.load(), examples, table, phase)
    if model.with_head:
        metrics = {**metrics, **variant_metrics(task, model.head, model.with_head, examples, table, phase)}
    if job.errors or job.report:
        parts, compared = zip(*_compared(task, examples, results), strict=True)
        found = mistakes(parts, compared)
        inputs = ("first", "second") if task.texts_apart and len(parts[0].sample) == 2 else model.head.inputs
        if job.errors:
            write_mistakes(job.errors, inputs, found)
        if job.report:
            title = f"{job.model.name} on {table.name}"
            write_evaluation(job.report, Evaluated(title, inputs, metrics, compared, found))
    return TableMetrics(metrics=metrics, samples=len(examples), baseline=baseline_of(task, examples))


def _compared(task: TaskHead, examples: Sequence[Example], results: Sequence[Any]) -> Iterable[tuple[Example, Outcome]]:
    """The parts of examples, and what was found beside what was expected."""
    if task.compared_together:
        return task.compared_together(examples, results)
    assert task.compared
    return [
        (replace(part, file=example.file), task.compared(part.expected, found))
        for example, result in zip(examples, results, strict=True)
        for part, found in task.parts(example, result)
    ]


@dataclass(frozen=True)
class _Model:
    """A model with a head.

    files: its weights. load: loads it the first time and gives its results of samples. with_head: its results with
    another head; None for an export, whose graph has one.
    """

    files: Sequence[Path]
    head: ServingHead
    load: Callable[[], Predict]
    with_head: Callable[[ServingHead], Predict] | None = None


def _exported(job: TableEvaluation) -> _Model:
    export = read_export(job.model)

    @cache
    def load() -> Predict:
        return Predictor(job.model, truncate=job.truncate, provider="cpu" if job.cpu else "auto").predict

    return _Model([export.model.with_name(name) for name in export.sha256], export.config.head, load)


def _released(job: TableEvaluation) -> _Model:
    if not (job.model / RELEASE_MODEL).is_file():
        what = f"has neither {RELEASE_MODEL} nor {ONNX_MODEL}" if job.model.is_dir() else "no such directory"
        raise FocusError(f"{job.model}: {what}; give a directory made by focus finetune or by focus export --onnx.")
    kept = read_kept_head(job.model, read_checkpoint(job.model))
    if kept is None:
        raise FocusError(f"{job.model}: is an encoder without a head for a task; fine-tune it first.")

    def with_head(head: ServingHead) -> Predict:
        own = replace(kept, head=head)
        return torch_pipeline(job.model, find_task(head.name), own, truncate=job.truncate, cpu=job.cpu).results

    return _Model(checkpoint_files(job.model), kept.head, cache(lambda: with_head(kept.head)), with_head)
