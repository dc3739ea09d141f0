"""Trains with fairseq and writes the release directory; all jobs that train use it."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from focus_plugin.files import require_utf8_name, sha256
from focus_plugin.forecast.forecast import AT_ONCE, Forecast, Launch, already_there, begin
from focus_plugin.forecast.training import TrainingWork, training_steps
from focus_plugin.manifest import Manifest, already_made, describe, manifest_of
from focus_plugin.outputs import make_directory
from focus_plugin.text import Text
from focus_plugin.training.checkpoints import BEST, LAST, updates_done
from focus_plugin.training.commands import Training, train_command
from focus_plugin.training.log import TrainingStep, validations
from focus_plugin.training.resume import remove_leftovers, resumable, unfinished_directory
from focus_plugin.training.run import is_done, run_rank, run_training
from focus_plugin.training.watcher import Watcher

LOG = "train.log"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A training that is done.

    directory: ``OUTPUT.unfinished``, with the data that the job prepared there. best: the checkpoint to release.
    validations: in order.
    """

    directory: Path
    best: Path
    validations: tuple[TrainingStep, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A training and the release directory that is made from it.

    kind, options, modules: for the manifest (see ``describe``); torch and fairseq are added to the modules.
    files, texts: the input files, and texts and tables, by their names in the manifest, which has their digests.
    prepare: writes the data of the training into ``OUTPUT.unfinished``, unless an interrupted run of the same job did,
    and returns the training. If it raises, the directory is removed.
    work: the time, memory and disk that the training needs; called before it.
    release: writes the release into an empty directory and returns the counts of its manifest.
    made_of: the directories that it is made from, see ``describe``. card: the model card, see ``make_directory``.
    """

    kind: str
    options: Mapping[str, object]
    files: Mapping[str, Path]
    texts: Mapping[str, Text] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    work: Callable[[], TrainingWork]
    prepare: Callable[[Path], Training]
    release: Callable[[Trained, Path], Mapping[str, object]]
    made_of: Mapping[str, Path]
    card: Callable[[Manifest], str]


def describe_training(job: TrainingJob, watcher: Watcher) -> Manifest:
    """The manifest of the release that a job makes."""
    size = sum(path.stat().st_size for path in job.files.values()) + sum(text.bytes for text in job.texts.values())
    with watcher.phase("Reading the input", size) as progress:
        inputs = {name: sha256(path, progress) for name, path in job.files.items()}
        inputs |= {name: text.content(progress).digest for name, text in job.texts.items()}
    return describe(job.kind, job.options, inputs, ("torch", "fairseq", *job.modules), job.made_of)


def train_release(job: TrainingJob, output: Path, watcher: Watcher, launch: Launch = AT_ONCE) -> Manifest:
    """Train and write the release ``output``, unless it already exists; return its manifest.

    fairseq's checkpoints are in ``OUTPUT.unfinished`` until the release is written; after an interruption the same call
    resumes from them. The log of the training is part of the release. Raises FocusError if fairseq fails, if another
    process trains for the same output, or if ``output`` is anything else, and as ``begin`` does.
    """
    manifest = describe_training(job, watcher)
    directory = unfinished_directory(require_utf8_name(output))
    if already_made(output, manifest):
        already_there(output, launch)
        remove_leftovers(directory, manifest)
        return manifest_of(output)
    work = replace(job.work(), done=updates_done(directory))
    begin(Forecast(output=output, steps=tuple(training_steps(work)), size=work.size), launch)
    with resumable(directory, manifest) as lock:
        command = train_command(_prepared(job, directory), directory)
        watcher.command(command)
        run_training(command, directory / LOG, watcher.step, lock)
        trained = Trained(directory=directory, best=directory / BEST, validations=validations(directory / LOG))

        def build(release: Path) -> Mapping[str, object]:
            counts = job.release(trained, release)
            shutil.copyfile(directory / LOG, release / LOG)
            return counts

        return make_directory(output, manifest, build, card=job.card)


def take_part(job: TrainingJob, output: Path) -> None:
    """Train as a rank other than 0, which writes nothing, unless rank 0 has nothing to train.

    ``job.prepare`` must write nothing. Raises FocusError as ``train_release`` does.
    """
    manifest, directory = describe_training(job, Watcher()), unfinished_directory(output)
    command = train_command(job.prepare(directory), directory)
    # In this order: rank 0 removes the checkpoints of a training that is done only after it has made the output.
    if not is_done(command, directory / LOG) and not already_made(output, manifest):
        run_rank(command)


def _prepared(job: TrainingJob, directory: Path) -> Training:
    try:
        return job.prepare(directory)
    except Exception:
        if not (directory / LAST).exists():
            shutil.rmtree(directory)
        raise
