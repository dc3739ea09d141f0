"""The metrics of a model with a head on a table: of a fine-tuned model in PyTorch, or of its ONNX export."""

from collections.abc import Mapping

from focus_export.directory import MODEL
from focus_export.runtime import Predictor

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import checked_examples
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.evaluation import table_metrics, torch_pipeline
from focus_plugin.finetuning.kept_head import read_kept_head
from focus_plugin.finetuning.options import TableEvaluation
from focus_plugin.finetuning.tables import existing
from focus_plugin.options import build, declared
from focus_plugin.progress import Phase, no_phase


def evaluate_table(job: TableEvaluation, phase: Phase = no_phase) -> tuple[Mapping[str, float], int]:
    """The metrics by name, and the number of samples in the table.

    Raises FocusError for faults of the table, for an encoder without a head, and for options of another task.
    """
    assert job.table
    if (job.model / MODEL).is_file():
        predictor = Predictor(job.model, truncate=job.truncate, provider="cpu" if job.cpu else "auto")
        head, predict = predictor.head, predictor.predict
    else:
        kept = read_kept_head(job.model, read_checkpoint(job.model))
        if kept is None:
            raise FocusError(f"{job.model}: is an encoder without a head for a task; fine-tune it first.")
        head = kept.head
        predict = torch_pipeline(job.model, find_task(head.name), kept, truncate=job.truncate, cpu=job.cpu).results
    task = find_task(head.name)
    if strange := sorted(job.columns.keys() - {entry.name for entry in declared(task.columns)}):
        raise FocusError(f"{job.model}: is a model for {task.name}, whose tables have no option {strange[0]}.")
    examples = list(checked_examples(task, head, existing(job.table), build(task.columns, job.columns)))
    if any(example.expected is None for example in examples):
        raise FocusError(f"{job.table}: says of no text what {task.name} should give, so there is nothing to evaluate.")
    return table_metrics(task, predict, examples, job.table, phase), len(examples)
