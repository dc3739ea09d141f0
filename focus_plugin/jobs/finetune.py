"""Fine-tuning an encoder to classify texts, by fairseq-train, from directory and tables to directory."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.checkpoint.release import MODEL, load_fairseq, write_release
from focus_plugin.data import count_rows, prepare_classification, read_labels
from focus_plugin.files import existing_file, whole_directory
from focus_plugin.finetuning import evaluate_classifier
from focus_plugin.manifest import Manifest
from focus_plugin.training.commands import Schedule, Training, check_extra, devices
from focus_plugin.training.release import Trained, TrainingJob, train_release
from focus_plugin.training.watcher import Watcher
from focus_plugin.vocabulary.files import tokenizer_package, vocabulary_files

KIND = "classification model"
HEAD = "classification"
LABELS = "labels.txt"
_NOT_FOR_USERS = {"--classification-head-name": "the head is looked for by the name it has here"}


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What to fine-tune and how. truncate: cut texts longer than the encoder reads. batch_size: texts of one
    update, over all devices. extra: options passed on to fairseq-train."""

    model: Path
    train: Path
    valid: Path
    label_column: str
    text_column: str
    truncate: bool
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    cpu: bool
    extra: tuple[str, ...]


def finetune_classification(job: Classification, output: Path, watcher: Watcher) -> Manifest:
    """Fine-tune, and write the checkpoint most accurate on the validation table as a release with a head and
    ``labels.txt``; see ``train_release``.

    Raises FocusError for faults of the tables (see ``prepare_classification``).
    """
    require_release(job.model)
    check_extra(job.extra, job.cpu, _NOT_FOR_USERS)
    dictionary, tokenizer = vocabulary_files(job.model)
    files = {f"model/{path.name}": path for path in checkpoint_files(job.model)}
    files |= {"train": existing_file(job.train), "valid": existing_file(job.valid)}
    options = {name: value for name, value in asdict(job).items() if name not in ("model", "train", "valid")}
    source = read_checkpoint(job.model)

    def prepare(directory: Path) -> Training:
        data = directory / "data"
        if not data.exists():
            _prepare_data(job, data, source.config.max_positions)
        return _training(job, data, _init(job.model, source, directory), source)

    def release(trained: Trained, directory: Path) -> Mapping[str, object]:
        data = trained.directory / "data"
        labels = read_labels(data)
        scores = evaluate_classifier(trained.best, data, HEAD, cpu=job.cpu)
        tensors, _ = load_fairseq(trained.best)
        heads = sorted(name for name in tensors if name.startswith(f"classification_heads.{HEAD}."))
        kept = {name: tensors[name] for name in (*source.tensors, *heads)}
        write_release(directory, source.config, kept, dictionary, tokenizer)
        (directory / LABELS).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        found = {"labels": list(labels), "valid_accuracy": scores.accuracy, "valid_macro_f1": scores.macro_f1}
        return {**found, "valid_texts": len(scores.expected)}

    return train_release(
        TrainingJob(
            kind=KIND,
            options={**options, "extra": list(job.extra)},
            files=files,
            modules=(tokenizer_package(tokenizer),),
            prepare=prepare,
            release=release,
        ),
        output,
        watcher,
    )


def classification_task(head: str, classes: int, batch_size: int) -> tuple[str, ...]:
    """The options of fairseq-train for a new classification head, with ``batch_size`` texts in a batch on one device.

    The best checkpoint is the latest of those most accurate on the validation set, to a tenth of a percent: fairseq
    tells it no finer.
    """
    return (
        *("--task", "sentence_prediction", "--criterion", "sentence_prediction"),
        *("--num-classes", str(classes), "--classification-head-name", head),
        *("--init-token", "0", "--separator-token", "2", "--batch-size", str(batch_size)),
        *("--best-checkpoint-metric", "accuracy", "--maximize-best-checkpoint-metric"),
    )


def _prepare_data(job: Classification, data: Path, max_positions: int) -> None:
    with whole_directory(data) as directory:
        prepare_classification(
            job.model,
            job.train,
            job.valid,
            directory,
            max_positions=max_positions,
            label_column=job.label_column,
            text_column=job.text_column,
            truncate=job.truncate,
        )


def _init(model: Path, source: Checkpoint, running: Path) -> Path:
    """The checkpoint to start from, without a head: fairseq would go on from one of the same name and shape."""
    if not source.task_heads:
        return model / MODEL
    init = running / "init"
    if not init.exists():
        with whole_directory(init) as directory:
            write_release(directory, source.config, source.tensors, *vocabulary_files(model))
    return init / MODEL


def _training(job: Classification, data: Path, init: Path, source: Checkpoint) -> Training:
    updates_per_epoch = math.ceil(count_rows(data) / job.batch_size)
    schedule = Schedule(
        updates=job.epochs * updates_per_epoch,
        learning_rate=job.learning_rate,
        validate_every=updates_per_epoch,
        seed=job.seed,
    )
    batch_size = max(1, job.batch_size // devices(job.cpu))
    return Training(
        data=data,
        init=init,
        config=source.config,
        schedule=schedule,
        task=classification_task(HEAD, len(read_labels(data)), batch_size),
        cpu=job.cpu,
        extra=job.extra,
    )
