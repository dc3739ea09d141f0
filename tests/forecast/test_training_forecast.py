"""What a dry run of a training says, against a training."""

from pathlib import Path

import pytest
from invoked import refuse, run
from measure import run_beside
from snapshots import snapshot

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.forecast.encoder import parameters
from focus_plugin.forecast.training import TrainingWork, training_steps
from focus_plugin.jobs.pretrain import training_work
from focus_plugin.masked_lm.options import Pretraining


@pytest.fixture(scope="module")
def data(directory, release, source_text, target_text) -> Path:
    output = directory / "forecast.data"
    run("focus", "prepare", "--vocab", release, "--train", source_text, "--valid", target_text, "--output", output)
    return output


def test_a_dry_run_of_a_training_says_what_the_training_takes(data, release, tmp_path):
    command = ["focus", "train", data, "--init", release, "--updates", 5, "--validate-every", 3, "--cpu"]
    command += ["--device-tokens", 4000, "--batch-tokens", 4000, "--output", tmp_path / "out"]
    before = snapshot(data.parent)
    said = run(*command, "--dry-run").stdout.splitlines()
    assert snapshot(data.parent) == before
    assert not list(tmp_path.iterdir())
    names = ["Reading the input", "Training: 5 updates", "Validation: 2 in all", "Writing the release"]
    assert [line.split("  ")[0] for line in said[1:5]] == names
    measured = run_beside(None, *command)
    predicted = run(*command, "--dry-run").stdout
    assert predicted.startswith(f"{tmp_path}/out: already made")
    work = work_of(release, data)
    size = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert work.size == pytest.approx(size, rel=0.05)
    memory = max(step.memory for step in training_steps(work))
    assert measured.memory <= memory <= 1.5 * measured.memory
    refuse(*command[:-2], "--output", data, "--dry-run", says="already holds")


def work_of(release: Path, data: Path) -> TrainingWork:
    tokens = {"device_tokens": 4000, "batch_tokens": 4000}
    job = Pretraining(data=data, init=release, updates=5, validate_every=3, cpu=True, **tokens)
    return training_work(job, read_checkpoint(release))


def test_the_numbers_of_an_encoder_are_counted(release):
    checkpoint = read_checkpoint(release)
    held = {id(tensor): tensor.numel() for tensor in checkpoint.tensors.values()}
    assert parameters(checkpoint.config, len(checkpoint.vocabulary)) == sum(held.values())
