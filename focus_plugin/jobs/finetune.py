"""Fine-tuning an encoder to classify texts, by fairseq-train, from directory and tables to directory."""

import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.checkpoint.release import MODEL, load_fairseq, write_release
from focus_plugin.data import count_rows, prepare_classification, read_labels
from focus_plugin.files import existing_file, sha256, whole_directory
from focus_plugin.finetuning import evaluate_classifier
from focus_plugin.jobs.unfinished import LOG, unfinished, unfinished_directory
from focus_plugin.manifest import Manifest, already_made, describe, made, write_manifest
from focus_plugin.training import BEST, Schedule, TrainingStep, check_extra, classification_command, run_training
from focus_plugin.vocabulary.files import tokenizer_package, vocabulary_files

KIND = "classification model"
HEAD = "classification"
LABELS = "labels.txt"


@dataclass(frozen=True)
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


def finetune_classification(
    job: Classification,
    output: Path,
    show_command: Callable[[list[str]], object],
    progress: Callable[[TrainingStep], object],
) -> Manifest:
    """Fine-tune, and write the checkpoint most accurate on the validation table as a release with a head and
    ``labels.txt``, unless ``output`` holds it.

    Until then fairseq's own checkpoints are in ``OUTPUT.unfinished``; the same call goes on from them after an
    interruption. Raises FocusError for faults of the tables (see ``prepare_classification``) or if fairseq fails.
    """
    manifest = _describe(job)
    if not already_made(output, manifest):
        source = read_checkpoint(job.model)
        running = unfinished_directory(output)
        with unfinished(running, manifest) as lock:
            data = running / "data"
            if not data.exists():
                _prepare(job, running, data, source.config.max_positions)
            labels = read_labels(data)
            command = _command(job, data, _init(job.model, source, running), running, source.config, len(labels))
            show_command(command)
            run_training(command, running / LOG, progress, lock)
            scores = evaluate_classifier(running / BEST, data, HEAD, cpu=job.cpu)
            with whole_directory(output) as directory:
                tensors, _ = load_fairseq(running / BEST)
                heads = sorted(name for name in tensors if name.startswith(f"classification_heads.{HEAD}."))
                kept = {name: tensors[name] for name in (*source.tensors, *heads)}
                write_release(directory, source.config, kept, *vocabulary_files(job.model))
                (directory / LABELS).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
                shutil.copyfile(running / LOG, directory / LOG)
                found = {"labels": list(labels), "valid_accuracy": scores.accuracy, "valid_macro_f1": scores.macro_f1}
                write_manifest(directory, manifest, {**found, "valid_texts": len(scores.expected)})
    return made(output)


def _prepare(job: Classification, running: Path, data: Path, max_positions: int) -> None:
    try:
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
    except Exception:
        shutil.rmtree(running)
        raise


def _init(model: Path, source: Checkpoint, running: Path) -> Path:
    """The checkpoint to start from, without a head: fairseq would go on from one of the same name and shape."""
    if not source.heads:
        return model / MODEL
    init = running / "init"
    if not init.exists():
        with whole_directory(init) as directory:
            write_release(directory, source.config, source.tensors, *vocabulary_files(model))
    return init / MODEL


def _describe(job: Classification) -> Manifest:
    require_release(job.model)
    _, tokenizer = vocabulary_files(job.model)
    check_extra(job.extra, job.cpu)
    files = {f"model/{path.name}": path for path in checkpoint_files(job.model)}
    files |= {"train": existing_file(job.train), "valid": existing_file(job.valid)}
    options = {name: value for name, value in asdict(job).items() if name not in ("model", "train", "valid")}
    options["extra"] = list(job.extra)
    inputs = {name: sha256(path) for name, path in files.items()}
    return describe(KIND, options, inputs, ("torch", "fairseq-fixed", tokenizer_package(tokenizer)))


def _command(
    job: Classification, data: Path, init: Path, running: Path, config: EncoderConfig, classes: int
) -> list[str]:
    devices = 1 if job.cpu else max(1, torch.cuda.device_count())
    updates_per_epoch = math.ceil(count_rows(data) / job.batch_size)
    schedule = Schedule(
        updates=job.epochs * updates_per_epoch,
        learning_rate=job.learning_rate,
        validate_every=updates_per_epoch,
        seed=job.seed,
    )
    return classification_command(
        data,
        init,
        running,
        config,
        schedule,
        head=HEAD,
        classes=classes,
        batch_size=max(1, job.batch_size // devices),
        cpu=job.cpu,
        extra=job.extra,
    )
