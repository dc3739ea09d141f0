"""The task's metrics on the validation table during a training, by which the best checkpoint is chosen."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from focus_export.head import ServingHead

from focus_plugin.finetuning.declaration import Example, TaskHead, checked_examples
from focus_plugin.finetuning.evaluation import adjusted, model_pipeline, table_results
from focus_plugin.finetuning.torch_model import TorchModel
from focus_plugin.options import build, settings
from focus_plugin.progress import no_phase
from focus_plugin.text import Text
from focus_plugin.training.log import DECISIVE


def validation_option(model: Path, table: Text, columns: Any, *, truncate: bool) -> str:
    """The value of ``--validation`` of fairseq-train. model: directory of the vocabulary. columns: of the table."""
    files = [str(file.path.resolve()) for file in table.files]
    given = {"model": str(model.resolve()), "files": files, "columns": settings(columns), "truncate": truncate}
    return json.dumps(given, ensure_ascii=False)


@dataclass(frozen=True)
class Validation:
    """task, head: of the model that is trained. given: what :func:`validation_option` wrote."""

    task: TaskHead
    head: ServingHead
    given: Mapping[str, Any]

    @cached_property
    def table(self) -> Text:
        """The table."""
        return Text.of(*self.given["files"])

    @cached_property
    def examples(self) -> list[Example]:
        """The examples of the table."""
        columns = build(self.task.columns, self.given["columns"])
        return list(checked_examples(self.task, self.head, self.table, columns))

    def metrics(self, model: TorchModel) -> Mapping[str, float]:
        """The metrics by name, as those of a release, but in the precision of ``model``; the first is also DECISIVE."""
        pipeline = model_pipeline(model, Path(self.given["model"]), truncate=self.given["truncate"])
        pipeline = adjusted(self.task, pipeline, self.examples, self.table)
        results = table_results(self.task, pipeline.results, self.examples, self.table, no_phase)
        found = self.task.metrics([example.expected for example in self.examples], results)
        return {**found, DECISIVE: next(iter(found.values()))}
