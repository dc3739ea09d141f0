"""Continued pretraining of an encoder on prepared text, by fairseq-train, from directory to directory."""

import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.checkpoint.release import MODEL, load_fairseq, write_release
from focus_plugin.errors import FocusError
from focus_plugin.files import sha256, whole_directory
from focus_plugin.jobs.prepare import require_text
from focus_plugin.jobs.unfinished import LOG, unfinished, unfinished_directory
from focus_plugin.manifest import Manifest, already_made, describe, made, write_manifest
from focus_plugin.training import (
    BEST,
    Schedule,
    TrainingStep,
    check_extra,
    masked_lm_command,
    run_training,
    validations,
)
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary

KIND = "encoder checkpoint"


@dataclass(frozen=True)
class Pretraining:
    """What to train and how. batch_tokens: tokens of one update, over all devices and accumulated batches.
    device_tokens: tokens in the memory of one device at once. extra: options passed on to fairseq-train."""

    data: Path
    init: Path
    updates: int
    learning_rate: float
    batch_tokens: int
    device_tokens: int
    validations: int
    seed: int
    cpu: bool
    extra: tuple[str, ...]


def pretrain(
    job: Pretraining,
    output: Path,
    show_command: Callable[[list[str]], object],
    progress: Callable[[TrainingStep], object],
) -> Manifest:
    """Train, and write the checkpoint with the lowest validation loss as a release, unless ``output`` holds it.

    Until then fairseq's own checkpoints are in ``OUTPUT.unfinished``; the same call goes on from them after an
    interruption. Raises FocusError if data and encoder have different vocabularies or fairseq fails.
    """
    require_text(job.data, "train", "valid")
    require_release(job.init)
    check_extra(job.extra, job.cpu)
    dictionary, tokenizer = vocabulary_files(job.data)
    files = {"data": job.data / "train.bin", "valid": job.data / "valid.bin", "dictionary": dictionary}
    files |= {f"init/{path.name}": path for path in checkpoint_files(job.init)}
    source = read_checkpoint(job.init)
    if source.vocabulary != read_dictionary(dictionary):
        raise FocusError(f"{job.data}: was prepared with another vocabulary than that of {job.init}.")
    options = {name: value for name, value in asdict(job).items() if name not in ("data", "init")}
    options["extra"] = list(job.extra)
    inputs = {name: sha256(path) for name, path in files.items()}
    manifest = describe(KIND, options, inputs, ("torch", "fairseq-fixed"))
    if not already_made(output, manifest):
        running = unfinished_directory(output)
        devices = 1 if job.cpu else max(1, torch.cuda.device_count())
        schedule = Schedule(
            updates=job.updates,
            learning_rate=job.learning_rate,
            validate_every=max(1, math.ceil(job.updates / job.validations)),
            accumulate=max(1, round(job.batch_tokens / (job.device_tokens * devices))),
            seed=job.seed,
        )
        command = masked_lm_command(
            job.data,
            job.init / MODEL,
            running,
            source.config,
            schedule,
            max_tokens=job.device_tokens,
            cpu=job.cpu,
            extra=job.extra,
        )
        with unfinished(running, manifest) as lock:
            show_command(command)
            run_training(command, running / LOG, progress, lock)
            curve = validations(running / LOG)
            with whole_directory(output) as directory:
                tensors, _ = load_fairseq(running / BEST)
                kept = {name: tensors[name] for name in source.tensors}
                write_release(directory, source.config, kept, dictionary, tokenizer)
                shutil.copyfile(running / LOG, directory / LOG)
                found = {"valid_loss_nats": {str(step.update): round(step.loss, 6) for step in curve}}
                write_manifest(directory, manifest, found)
    return made(output)
