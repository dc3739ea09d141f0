"""From a fairseq training to a released directory: the one way in which a job trains."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from focus_plugin.files import sha256
from focus_plugin.forecast.forecast import AT_ONCE, Forecast, Start, already_there, begin
from focus_plugin.forecast.training import TrainingWork, training_steps
from focus_plugin.manifest import Manifest, already_made, describe, manifest_of
from focus_plugin.outputs import make_directory
from focus_plugin.training.checkpoints import BEST, LAST, updates_done
from focus_plugin.training.commands import Training, train_command
from focus_plugin.training.log import TrainingStep, validations
from focus_plugin.training.resume import remove_leftovers, resumable, unfinished_directory
from focus_plugin.training.run import run_training
from focus_plugin.training.watcher import Watcher

LOG = "train.log"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A training that is done.

    directory: ``OUTPUT.unfinished``, with all that the job prepared there. best: the checkpoint to release.
    validations: what each validation found, in order.
    """

    directory: Path
    best: Path
    validations: tuple[TrainingStep, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A released directory that a training is to make, and how.

    kind, options, modules: as its manifest describes them (see ``describe``); torch and fairseq need not be named.
    files: the input by its name in the manifest, known by content.
    prepare: makes what the training reads in ``OUTPUT.unfinished``, unless an interrupted run of the same job has done
    so, and returns the training. What it raises leaves no directory behind.
    work: what the training takes, asked for before it.
    release: fills the release, a directory that is empty, from the training, and returns what its manifest counts.
    """

    kind: str
    options: Mapping[str, object]
    files: Mapping[str, Path]
    modules: tuple[str, ...] = ()
    prepare: Callable[[Path], Training]
    release: Callable[[Trained, Path], Mapping[str, object]]
    work: Callable[[], TrainingWork] | None = None


def train_release(job: TrainingJob, output: Path, watcher: Watcher, start: Start = AT_ONCE) -> Manifest:
    """Train and write the release ``output``, unless it is there already; return the manifest in it.

    Until then fairseq's checkpoints are in ``OUTPUT.unfinished``; after an interruption the same call resumes from
    them. The log of the training is part of the release. Raises FocusError if fairseq fails, if another process is
    training for the same output, or if ``output`` holds anything else, and what ``begin`` raises.
    """
    with watcher.phase("Reading the input", sum(path.stat().st_size for path in job.files.values())) as progress:
        inputs = {name: sha256(path, progress) for name, path in job.files.items()}
    manifest = describe(job.kind, job.options, inputs, ("torch", "fairseq", *job.modules))
    directory = unfinished_directory(output)
    if already_made(output, manifest):
        already_there(output, start)
        remove_leftovers(directory, manifest)
        return manifest_of(output)
    if job.work:
        work = replace(job.work(), done=updates_done(directory))
        begin(Forecast(output=output, steps=tuple(training_steps(work)), size=work.size), start)
    with resumable(directory, manifest) as lock:
        command = train_command(_prepared(job, directory), directory)
        watcher.command(command)
        run_training(command, directory / LOG, watcher.step, lock)
        trained = Trained(directory=directory, best=directory / BEST, validations=validations(directory / LOG))

        def build(release: Path) -> Mapping[str, object]:
            counts = job.release(trained, release)
            shutil.copyfile(directory / LOG, release / LOG)
            return counts

        return make_directory(output, manifest, build)


def _prepared(job: TrainingJob, directory: Path) -> Training:
    try:
        return job.prepare(directory)
    except Exception:
        if not (directory / LAST).exists():
            shutil.rmtree(directory)
        raise
