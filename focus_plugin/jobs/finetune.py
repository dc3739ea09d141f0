"""Fine-tunes an encoder for a task with fairseq-train."""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from focus_export.head import ServingHead
from focus_export.pipeline import Pipeline
from focus_export.served_heads import HEADS

from focus_plugin.binary_data import Encoder
from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.checkpoint.release import RELEASE_MODEL, load_fairseq, write_release
from focus_plugin.errors import FocusError
from focus_plugin.files import whole_directory, write_json
from focus_plugin.finetuning.declaration import (
    BASELINES,
    TASK_HEAD,
    Example,
    Finetuning,
    Preparation,
    TaskHead,
    checked_examples,
    table_examples,
)
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.evaluation import (
    adjusted,
    baseline_of,
    table_metrics,
    torch_pipeline,
    variant_metrics,
)
from focus_plugin.finetuning.head_file import HEAD_FILE, head_files, read_head_file, write_head
from focus_plugin.finetuning.kept_head import kept_head
from focus_plugin.finetuning.options import FinetuningOptions
from focus_plugin.finetuning.tokenizer import release_tokenizer
from focus_plugin.finetuning.validation import validation_option
from focus_plugin.forecast.finetuning import FinetuningSchedule, finetuning_work, table_amount
from focus_plugin.forecast.forecast import AT_ONCE, Launch
from focus_plugin.forecast.training import TrainingWork
from focus_plugin.jobs.prepare import refuse_colon
from focus_plugin.leakage import LEAKAGE, as_counts, leakage
from focus_plugin.manifest import Manifest
from focus_plugin.model_card.card import model_card
from focus_plugin.model_card.use import release_use
from focus_plugin.options import settings
from focus_plugin.progress import Phase
from focus_plugin.text import Text
from focus_plugin.training.commands import Schedule, Training, check_extra, devices, on_gpu
from focus_plugin.training.log import DECISIVE
from focus_plugin.training.ranks import rank_of
from focus_plugin.training.recipe import Recipe
from focus_plugin.training.release import Trained, TrainingJob, train_release
from focus_plugin.training.watcher import Watcher
from focus_plugin.training.words import last_setting
from focus_plugin.vocabulary.files import tokenizer_package, vocabulary_files
from focus_plugin.vocabulary.tokenizers import load_tokenizer

WARNINGS, CHOSEN_BY = "warnings", "chosen_by"  # keys in the counts of a manifest
_COUNTS = "counts.json"  # in the data directory, beside HEAD_FILE
_SAMPLES = "samples"
_FILES = "files"
_LOSS_SETTINGS = "loss_settings"
_NOT_FOR_USERS = {"--best-checkpoint-metric": "the best checkpoint is the one with the best metric of the task"}


@dataclass(frozen=True, kw_only=True)
class FinetuningJob:
    """task: its name. options: an instance of the task's ``Finetuning.options``. columns: an instance of the task's
    ``columns``."""

    task: str
    options: FinetuningOptions
    columns: Any


def finetune(job: FinetuningJob, output: Path, watcher: Watcher, launch: Launch = AT_ONCE) -> Manifest:
    """Fine-tune, and write the best checkpoint as a release with the task's head; see ``train_release``.

    The manifest counts the metrics of the release on the validation table as ``valid_METRIC`` and those on the test
    table as ``test_METRIC``. It has the name of the metric that the checkpoint was chosen by under ``CHOSEN_BY``, and
    the task's warnings about the tables under ``WARNINGS``. Raises FocusError for faults of the tables.
    """
    return train_release(finetuning_training(job, watcher), output, watcher, launch)


def finetuning_training(job: FinetuningJob, watcher: Watcher) -> TrainingJob:
    """The training of a job, and what its release is made from."""
    task, options = find_task(job.task), job.options
    if task.finetuning is None:
        raise FocusError(f"The task {task.name} has no training.")
    if rank_of(os.environ):
        raise FocusError("focus finetune uses all GPUs of one machine by itself; start it without torchrun or srun.")
    require_release(options.model)
    check_extra(options.extra, options.cpu, {**_NOT_FOR_USERS, **task.finetuning.refused})
    dictionary, tokenizer = vocabulary_files(options.model)
    files = {f"model/{path.name}": path for path in (*checkpoint_files(options.model), *head_files(options.model))}
    tables = options.tables
    source = read_checkpoint(options.model)
    if options.freeze_layers is not None and options.freeze_layers > source.config.layers:
        raise FocusError(f"--freeze-layers {options.freeze_layers}: {options.model} has {source.config.layers} layers.")
    if options.freeze_layers == source.config.layers and task.module is None:
        raise FocusError(
            f"--freeze-layers {options.freeze_layers}: nothing would be trained, since {task.name} has no weights but "
            f"the {source.config.layers} layers of {options.model}; give fewer."
        )
    finetuning = task.finetuning

    def prepare(directory: Path) -> Training:
        """Write the data, unless an interrupted run did; the training."""
        data = directory / "data"
        refuse_colon(data)
        if not data.exists():
            _write_data(task, finetuning, job, source.config, data, watcher.phase)
        return _training(finetuning, job, data, _init(options.model, source, directory), source.config)

    def release(trained: Trained, directory: Path) -> Mapping[str, object]:
        """Write the best checkpoint with its head, and evaluate it; the counts of the manifest."""
        data = trained.directory / "data"
        head, prefix = read_head_file(data / HEAD_FILE)
        tensors = {
            name.replace(f"{TASK_HEAD}.", prefix): tensor for name, tensor in load_fairseq(trained.best)[0].items()
        }
        kept = {name: tensors[name] for name in (*source.tensors, *sorted(tensors)) if _released(name, source, prefix)}
        write_release(directory, source.config, kept, dictionary, tokenizer)
        counts: dict[str, Any] = json.loads((data / _COUNTS).read_text(encoding="utf-8"))
        counts.pop(_LOSS_SETTINGS)
        for name in counts.pop(_FILES):
            shutil.copyfile(data / name, directory / name)
        own = kept_head(head, prefix, read_checkpoint(directory))

        def pipeline(head: ServingHead) -> Pipeline:
            chosen = replace(own, head=head)
            return torch_pipeline(directory, task, chosen, truncate=options.truncate, cpu=options.cpu)

        final_head, evaluated = _evaluate(task, job, head, pipeline, watcher.phase)
        write_head(directory / HEAD_FILE, final_head, prefix)
        return {**counts, **evaluated}

    return TrainingJob(
        kind=f"{task.name} model",
        options={**settings(options), **settings(job.columns), "extra": list(options.extra)},
        files=files,
        texts=tables,
        modules=(tokenizer_package(tokenizer),),
        work=lambda: _work(task, job, source, watcher.phase),
        prepare=prepare,
        release=release,
        made_of={"model": options.model},
        card=partial(model_card, use=release_use(HEADS.find(task.name).declaration, has_head=True)),
    )


def _work(task: TaskHead, job: FinetuningJob, source: Checkpoint, phase: Phase) -> TrainingWork:
    """The amount of work of the training, for a forecast."""
    options, files = job.options, vocabulary_files(job.options.model)
    tokenizer, longest = load_tokenizer(files[1]), source.config.max_positions
    tables = {
        split: table_amount(table_examples(task, table, job.columns, phase), tokenizer, longest)
        for split, table in options.tables.items()
    }
    device_size = last_setting(options.extra, "--batch-size", int) or _device_size(options)
    accumulate = last_setting(options.extra, "--update-freq", int) or 1
    at_once = min(device_size, options.at_once)
    schedule = FinetuningSchedule(
        batch_size=device_size * accumulate * devices(options.cpu),
        device_size=at_once,
        accumulate=accumulate * math.ceil(device_size / at_once),
        epochs=last_setting(options.extra, "--max-epoch", int) or options.epochs,
        updates=last_setting(options.extra, "--max-update", int),
        on_gpu=on_gpu(options.cpu),
    )
    beside = sum(path.stat().st_size for path in files)
    return finetuning_work(source.config, len(source.vocabulary), tables, schedule, beside)


def _evaluate(
    task: TaskHead,
    job: FinetuningJob,
    head: ServingHead,
    pipeline_of: Callable[[ServingHead], Pipeline],
    phase: Phase,
) -> tuple[ServingHead, dict[str, object]]:
    """The head after ``Finetuning.adjust``, and the metrics on the validation and test tables."""
    assert task.finetuning
    pipeline = pipeline_of(head)
    counts: dict[str, object] = {}
    baselines: dict[str, float | None] = {}
    for split, table in job.options.tables.items():
        if split == "train":
            continue
        examples = list(checked_examples(task, pipeline.head, table, job.columns, phase))
        if split == "valid":
            pipeline = adjusted(task, pipeline, examples, table, phase)
        metrics = table_metrics(task, pipeline.results, examples, table, phase)
        if split == "valid" and task.finetuning.loss:
            counts[CHOSEN_BY] = next(iter(metrics))
        baselines[split] = baseline_of(task, examples)
        others = variant_metrics(task, pipeline.head, lambda head: pipeline_of(head).results, examples, table, phase)
        found = {**metrics, **others, "samples": len(examples)}
        counts |= {f"{split}_{name}": value for name, value in found.items()}
    return pipeline.head, {**counts, BASELINES: baselines}


def _released(name: str, source: Checkpoint, prefix: str) -> bool:
    return name in source.tensors or (bool(prefix) and name.startswith(prefix))


def _write_data(
    task: TaskHead, finetuning: Finetuning, job: FinetuningJob, config: EncoderConfig, data: Path, phase: Phase
) -> None:
    """Write the data of the training, the head and the counts."""
    options, examples = job.options, partial(table_examples, task, columns=job.columns, phase=phase)
    with whole_directory(data) as directory:
        encoder = Encoder.load(options.model)
        prepared = finetuning.prepare(
            Preparation(
                directory=directory,
                model=options.model,
                encoder=encoder,
                tokenizer=release_tokenizer(options.model, encoder, config.max_positions),
                max_positions=config.max_positions,
                tables=options.tables,
                examples=examples,
                options=options,
            )
        )
        if fault := prepared.head.misfit(config.width, config.layers):
            raise FocusError(f"{options.model}: {fault}.")
        write_head(directory / HEAD_FILE, prepared.head, finetuning.tensors)
        samples = {name: partial(_samples, table, examples) for name, table in options.tables.items()}
        found = as_counts(leakage(samples.pop("train"), samples))
        own = {_SAMPLES: prepared.samples, _FILES: prepared.files, _LOSS_SETTINGS: prepared.loss_settings}
        warned = {WARNINGS: prepared.warnings} if prepared.warnings else {}
        write_json(directory / _COUNTS, {**own, **prepared.counts, LEAKAGE: found, **warned})


def _samples(table: Text, examples: Callable[[Text], Iterator[Example]]) -> Iterator[tuple[str, str]]:
    """The texts of a table with their places."""
    for example in examples(table):
        texts = example.sample if isinstance(example.sample, tuple) else (example.sample,)
        yield example.place_in(len(table.files)), "\t".join(map(str, texts))


def _init(model: Path, source: Checkpoint, running: Path) -> Path:
    """The checkpoint to start from, without a head: fairseq would continue with one of the same name and shape."""
    if not source.task_heads:
        return model / RELEASE_MODEL
    init = running / "init"
    if not init.exists():
        with whole_directory(init) as directory:
            write_release(directory, source.config, source.tensors, *vocabulary_files(model))
    return init / RELEASE_MODEL


def _training(finetuning: Finetuning, job: FinetuningJob, data: Path, init: Path, config: EncoderConfig) -> Training:
    options = job.options
    head, _ = read_head_file(data / HEAD_FILE)
    counts = json.loads((data / _COUNTS).read_text(encoding="utf-8"))
    updates_per_epoch = math.ceil(counts[_SAMPLES] / options.batch_size)
    schedule = Schedule(
        updates=options.epochs * updates_per_epoch,
        recipe=_recipe(options),
        validate_every=updates_per_epoch,
        seed=options.seed,
    )
    return Training(
        data=data,
        init=init,
        config=config,
        schedule=schedule,
        task=(
            *finetuning.fairseq_options(head, options),
            *(_choice(job) if finetuning.loss else ()),
            *_given("--loss-settings", json.dumps(counts[_LOSS_SETTINGS]) if counts[_LOSS_SETTINGS] else None),
            *_given("--freeze-layers", options.freeze_layers),
            *_given("--patience", options.patience),
            *("--batch-size", str(_device_size(options))),
            *("--num-workers", "0"),  # it takes longer to start a process in each epoch than to make its batches
        ),
        cpu=options.cpu,
        extra=options.extra,
    )


def _choice(job: FinetuningJob) -> tuple[str, ...]:
    """The options by which the best checkpoint is chosen, and ``--patience`` counts."""
    table, truncate = job.options.tables["valid"], job.options.truncate
    return (
        *("--validation", validation_option(job.options.model, table, job.columns, truncate=truncate)),
        *("--best-checkpoint-metric", DECISIVE, "--maximize-best-checkpoint-metric"),
    )


def _recipe(options: FinetuningOptions) -> Recipe:
    return Recipe(learning_rate=options.learning_rate, layer_decay=options.layer_decay, optimizer="focus_adam")


def _given(option: str, value: object) -> tuple[str, ...]:
    return () if value is None else (option, str(value))


def _device_size(options: FinetuningOptions) -> int:
    """Samples on one device at once."""
    return max(1, options.batch_size // devices(options.cpu))
