"""Whole trainings on a CPU: in float32 as fairseq's own model, and in bfloat16 close to that."""

import subprocess
from pathlib import Path

import pytest
import torch
from fairseq_models import CONFIG, World, prepare_data

from focus_plugin.checkpoint.release import load_fairseq
from focus_plugin.jobs.pretrain import masked_lm_task
from focus_plugin.models.focus_roberta import has_bfloat16
from focus_plugin.training.checkpoints import LAST
from focus_plugin.training.commands import Schedule, Training, train_command
from focus_plugin.training.recipe import Recipe

PACKED, PADDED = (), ("--sample-break-mode", "eos")


@pytest.fixture(scope="module")
def data(world: World) -> Path:
    return prepare_data(world, world.root / "data")


def trained(world: World, data: Path, place: Path, arch: str, *extra: str) -> dict[str, torch.Tensor]:
    """The weights after six updates."""
    recipe = Recipe(learning_rate=1e-3, dropout=0.0)
    training = Training(
        data=data,
        init=world.source / "model.pt",
        config=CONFIG,
        schedule=Schedule(updates=6, recipe=recipe, validate_every=6),
        task=masked_lm_task(CONFIG, 1000, extra),
        cpu=True,
        extra=extra,
    )
    command = train_command(training, place)
    command[command.index("--arch") + 1] = arch
    if arch == "roberta_base":
        command[command.index("--criterion") + 1] = "masked_lm"
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return load_fairseq(place / LAST)[0]


@pytest.mark.parametrize("samples", [PACKED, PADDED], ids=["packed", "padded"])
def test_a_training_in_float32_is_fairseqs(world, data, tmp_path, samples):
    theirs = trained(world, data, tmp_path / "theirs", "roberta_base", *samples)
    ours = trained(world, data, tmp_path / "ours", "focus_roberta", "--cpu-precision", "float32", *samples)
    before, _ = load_fairseq(world.source / "model.pt")
    assert theirs.keys() == ours.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-5, rtol=1e-5)
    assert any((ours[name] - before[name]).abs().max() > 1e-3 for name in before if name in ours)


@pytest.mark.skipif(not has_bfloat16(), reason="the CPU has no instructions for bfloat16")
def test_a_training_in_bfloat16_keeps_weights_in_float32(world, data, tmp_path):
    exact = trained(world, data, tmp_path / "exact", "focus_roberta", "--cpu-precision", "float32")
    rounded = trained(world, data, tmp_path / "rounded", "focus_roberta")
    before, _ = load_fairseq(world.source / "model.pt")
    assert all(tensor.dtype == torch.float32 for tensor in rounded.values())
    moved = difference = 0.0
    for name in exact.keys() & before.keys():
        moved += float((exact[name] - before[name]).square().sum())
        difference += float((exact[name] - rounded[name]).square().sum())
    assert 0 < difference < 0.1 * moved
