"""The results of a fine-tuned model in PyTorch, and its metrics."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from focus_export.head import ServingHead
from focus_export.pipeline import Name, Pipeline

from focus_plugin.binary_data import Encoder
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.finetuning.declaration import Example, TaskHead
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.head_file import head_for_encoders, read_kept_head
from focus_plugin.finetuning.kept_head import KeptHead
from focus_plugin.finetuning.tokenizer import release_tokenizer
from focus_plugin.finetuning.torch_model import TorchModel, load_model
from focus_plugin.progress import Phase, no_phase
from focus_plugin.text import Text
from focus_plugin.vocabulary.vocabulary import PAD

_TOKEN_BUDGET = 2048

# Gives the results of samples in their order, as Pipeline.results does.
Predict = Callable[[Iterable[Any], Name], Iterator[Any]]


def table_metrics(
    task: TaskHead, predict: Predict, examples: Sequence[Example], table: Text, phase: Phase
) -> Mapping[str, float]:
    """The task's metrics on the examples of a table, see :func:`evaluated`."""
    return evaluated(task, predict, examples, table, phase)[0]


def variant_metrics(
    task: TaskHead,
    head: ServingHead,
    predict_of: Callable[[ServingHead], Predict],
    examples: Sequence[Example],
    table: Text,
    phase: Phase,
) -> Mapping[str, float]:
    """The metrics of ``Finetuning.variants`` of a head, with their names in front. predict_of: results with a head."""
    variants = task.finetuning.variants(head) if task.finetuning else {}
    return {
        f"{name}_{metric}": value
        for name, variant in variants.items()
        for metric, value in table_metrics(task, predict_of(variant), examples, table, phase).items()
    }


def evaluated(
    task: TaskHead, predict: Predict, examples: Sequence[Example], table: Text, phase: Phase
) -> tuple[Mapping[str, float], Sequence[Any]]:
    """The task's metrics on the examples of a table, which is named in the progress, and the results for the examples.

    predict: the model's results. The metrics of the examples in another form have its name in front.
    """
    whole = table_results(task, predict, examples, table, phase)
    found = dict(task.metrics([example.expected for example in examples], whole))
    for name, form in task.forms.items():
        others = [replace(form.example(example), file=example.file) for example in examples]
        results = table_results(task, predict, others, table, phase)
        metrics = form.metrics([example.expected for example in others], results)
        found |= {f"{name}_{metric}": value for metric, value in metrics.items()}
    return found, whole


def adjusted(
    task: TaskHead, pipeline: Pipeline, examples: Sequence[Example], table: Text, phase: Phase = no_phase
) -> Pipeline:
    """The pipeline with the head after ``Finetuning.adjust``. examples: of the validation table."""
    if not (task.finetuning and task.finetuning.adjust):
        return pipeline
    results = table_results(task, pipeline.results, examples, table, phase)
    head = task.finetuning.adjust(pipeline.head, [example.expected for example in examples], results)
    return replace(pipeline, head=head)


def baseline_of(task: TaskHead, examples: Sequence[Example]) -> float | None:
    """The decisive metric of always giving the commonest result; None if the task has no such result."""
    return task.baseline([example.expected for example in examples]) if task.baseline else None


def table_results(
    task: TaskHead, predict: Predict, examples: Sequence[Example], table: Text, phase: Phase
) -> list[Any]:
    """The model's results for the examples of a table."""
    results = []
    with phase(f"Evaluating {table.name}", len(examples)) as progress:
        for result in example_results(task, predict, examples):
            results.append(result)
            progress(1)
    return results


def example_results(task: TaskHead, predict: Predict, examples: Sequence[Example]) -> Iterator[Any]:
    """Yield the model's result for each example of a table. Errors name the place of the example."""
    samples = [(example.place, sample) for example in examples for sample in task.samples(example)]
    found = predict((sample for _, sample in samples), lambda number: samples[number - 1][0])
    for example in examples:
        results = tuple(islice(found, len(task.samples(example))))
        yield results if task.texts_apart else results[0]


def released_pipeline(directory: str | Path, *, truncate: bool = False, cpu: bool = False) -> Pipeline:
    """The results of a release in PyTorch, as its export would give them: of its task, or embeddings of an encoder.

    See :func:`torch_pipeline`. Raises FocusError if ``directory`` is no release, or has an unknown head.
    """
    directory = Path(directory)
    kept = read_kept_head(directory, read_checkpoint(directory)) or KeptHead(head_for_encoders()())
    return torch_pipeline(directory, find_task(kept.head.name), kept, truncate=truncate, cpu=cpu)


def torch_pipeline(directory: Path, task: TaskHead, kept: KeptHead, *, truncate: bool, cpu: bool) -> Pipeline:
    """The pipeline of the served model, but with a release in PyTorch.

    It uses the GPU, if there is one, unless ``cpu``. ``truncate``: cut texts that are too long.
    """
    device = "cuda" if torch.cuda.is_available() and not cpu else "cpu"
    return model_pipeline(load_model(directory, task, kept, device), directory, truncate=truncate)


def model_pipeline(model: TorchModel, directory: Path, *, truncate: bool) -> Pipeline:
    """The pipeline of the served model, but with one in PyTorch. directory: that of its vocabulary."""
    encoder, device = Encoder.load(directory), next(model.model.parameters()).device

    @torch.inference_mode()
    def run(ids: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
        tokens, real = torch.from_numpy(ids.astype(np.int64)).to(device), torch.from_numpy(lengths).to(device)
        _, outputs = model(tokens, real)
        return {output: tensor.float().cpu().numpy() for output, tensor in outputs.items()}

    return Pipeline(
        head=model.head,
        outputs=model.head.outputs(model.model.args.encoder_embed_dim),
        tokenizer=release_tokenizer(directory, encoder, model.model.max_positions()),
        run=run,
        pad=encoder.vocabulary.ids[PAD],
        token_budget=_TOKEN_BUDGET,
        workers=1,
        truncate=truncate,
    )
