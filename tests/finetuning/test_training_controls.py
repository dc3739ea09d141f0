"""Options that limit a fine-tuning: frozen layers, learning rates by layer, an early end."""

import json
from pathlib import Path

import pytest
import torch
from fairseq_models import World, make_world
from training_log import chosen_by, validated

from focus_plugin.errors import FocusError
from focus_plugin.heads.classification import ClassificationColumns, ClassificationOptions
from focus_plugin.heads.pairs import PairsColumns, PairsOptions
from focus_plugin.jobs.finetune import FinetuningJob, finetune
from focus_plugin.manifest import Manifest
from focus_plugin.training.log import stopped_early
from focus_plugin.training.watcher import Watcher

ENCODER = "encoder.sentence_encoder."


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("controls"))
    lines = world.train.read_text(encoding="utf-8").splitlines()
    labels = ["high" if line[0] < "M" else "low" for line in lines[:60]]
    rows = (f"{label}\t{text}\n" for label, text in zip(labels, lines, strict=False))
    (world.root / "t.tsv").write_text("label\ttext\n" + "".join(rows), encoding="utf-8")
    return world


def _finetuned(world: World, output: Path, **options: object) -> Manifest:
    table = world.root / "t.tsv"
    given = {
        "model": world.source,
        "train": (table,),
        "valid": (table,),
        "truncate": True,
        "cpu": True,
        "batch_size": 20,
    }
    job = FinetuningJob(
        task="classification", options=ClassificationOptions(**{**given, **options}), columns=ClassificationColumns()
    )
    return finetune(job, output, Watcher())


def _tensors(directory: Path) -> dict[str, torch.Tensor]:
    return torch.load(directory / "model.pt")["model"]


def test_frozen_layers_stay_as_they_are(world: World, tmp_path: Path) -> None:
    """And the layers above them are trained, with a learning rate that falls from layer to layer."""
    _finetuned(world, tmp_path / "out", epochs=1, learning_rate=1e-3, freeze_layers=1, layer_decay=0.5)
    before, after = _tensors(world.source), _tensors(tmp_path / "out")
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed
    assert all(name.startswith(f"{ENCODER}layers.1.") for name in changed), changed
    assert f"{ENCODER}layers.1.fc1.weight" in changed
    with pytest.raises(FocusError, match=r"--freeze-layers 3: .*source has 2 layers"):
        _finetuned(world, tmp_path / "other", freeze_layers=3)


def test_the_best_checkpoint_has_the_highest_metric_not_the_smallest_loss(world: World, tmp_path: Path) -> None:
    """The validation scores are in the right order, but so close to their mean that giving the mean is best for the
    loss, as the model does before it has learned anything."""
    lines = world.train.read_text(encoding="utf-8").splitlines()[:400]
    for name, factor in (("train", 1.0), ("valid", 0.1)):
        rows = (f"{factor * (ord(line[0]) - 77)}\t{line}\t{line}\n" for line in lines)
        (tmp_path / f"{name}.tsv").write_text("label\tfirst\tsecond\n" + "".join(rows), encoding="utf-8")
    tables = {name: (tmp_path / f"{name}.tsv",) for name in ("train", "valid")}
    how = {"epochs": 3, "learning_rate": 3e-3, "batch_size": 16, "truncate": True, "cpu": True, "regression": True}
    job = FinetuningJob(task="pairs", options=PairsOptions(model=world.source, **tables, **how), columns=PairsColumns())
    counts = finetune(job, tmp_path / "out", Watcher()).counts
    losses, metrics = (validated(tmp_path / "out", name) for name in ("loss", "spearman"))
    assert metrics[losses.index(min(losses))] + 0.05 < counts["valid_spearman"]
    assert chosen_by(tmp_path / "out", "spearman")


def test_a_training_ends_early_and_is_then_done(world: World, tmp_path: Path) -> None:
    """Without a learning rate, no checkpoint is better than the first."""
    counts = _finetuned(world, tmp_path / "out", epochs=9, learning_rate=0.0, patience=2).counts
    log = tmp_path / "out" / "train.log"
    validated = [line for line in log.read_text().splitlines() if "| INFO | valid | {" in line]
    assert [json.loads(line[line.index("{") :])["valid_num_updates"] for line in validated] == ["3", "6", "9"]
    assert stopped_early(log)
    assert counts["valid_samples"] == 60
    assert not list(tmp_path.glob("out.unfinished*"))


def test_ranks_of_a_launcher_are_refused(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them would train alone."""
    launcher = {"TORCHELASTIC_RUN_ID": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "WORLD_SIZE": "2"}
    for name, value in {**launcher, "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FocusError, match="start it without torchrun or srun"):
        _finetuned(world, tmp_path / "out")
    assert not list(tmp_path.iterdir())
