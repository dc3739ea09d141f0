"""Fine-tunes an encoder with several random seeds, and releases the model that is best on the validation table."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import BASELINES
from focus_plugin.finetuning.seeds import collapsed
from focus_plugin.forecast.forecast import AT_ONCE, Forecast, Launch, already_there, begin
from focus_plugin.forecast.training import training_steps
from focus_plugin.jobs.finetune import FinetuningJob, finetune, finetuning_training
from focus_plugin.manifest import FILE, Manifest, already_made, manifest_of
from focus_plugin.outputs import make_directory
from focus_plugin.training.release import TrainingJob, describe_training
from focus_plugin.training.watcher import Watcher

SEEDS, SEED, COLLAPSED = "seeds", "seed", "collapsed"  # keys in the counts of the manifest
_SPLITS = ("valid_", "test_")


def finetune_seeds(
    job: FinetuningJob, seeds: tuple[int, ...], output: Path, watcher: Watcher, launch: Launch = AT_ONCE
) -> Manifest:
    """Fine-tune with each seed and write the best model, unless it already exists; return its manifest.

    Until then, the models of the other seeds are in ``OUTPUT.seeds``, each made as by ``finetune``. So the same call
    continues after an interruption. The manifest counts the metrics of all seeds, the seed of the model, and the seeds
    that collapsed. Raises FocusError as ``finetune`` does.
    """
    training = finetuning_training(job, watcher)
    described = describe_training(training, watcher)
    options = {name: value for name, value in described.options.items() if name != SEED}
    manifest = replace(described, options={**options, SEEDS: list(seeds)})
    others = output.with_name(f"{output.name}.seeds")
    if already_made(output, manifest):
        already_there(output, launch)
        shutil.rmtree(others, ignore_errors=True)
        return manifest_of(output)
    begin(_forecast(training, len(seeds), output), launch)
    made = {}
    try:
        for seed in seeds:
            own = replace(job, options=replace(job.options, seed=seed))
            made[seed] = finetune(own, others / str(seed), watcher, replace(launch, dry_run=False)).counts
    except FocusError:
        with suppress(OSError):  # there are models in it
            others.rmdir()
        raise
    decisive = {seed: next(iter(_metrics(counts).values())) for seed, counts in made.items()}
    best = max(seeds, key=decisive.__getitem__)

    def build(directory: Path) -> Mapping[str, object]:
        """Copy the best model; the counts of the manifest, with the metrics of all seeds."""
        shutil.copytree(others / str(best), directory, ignore=shutil.ignore_patterns(FILE), dirs_exist_ok=True)
        metrics = {str(seed): _metrics(counts) for seed, counts in made.items()}
        failed = collapsed(decisive, made[best][BASELINES]["valid"])
        return {
            **made[best],
            SEED: best,
            SEEDS: metrics,
            COLLAPSED: {str(seed): reason for seed, reason in failed.items()},
        }

    found = make_directory(output, manifest, build, card=training.card)
    shutil.rmtree(others)
    return found


def _metrics(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in counts.items() if name.startswith(_SPLITS)}


def _forecast(training: TrainingJob, count: int, output: Path) -> Forecast:
    """That of one training that is as long as all of them."""
    work = training.work()
    long = replace(work, updates=count * work.updates, validations=count * work.validations)
    return Forecast(output=output, steps=tuple(training_steps(long)), size=work.size)
