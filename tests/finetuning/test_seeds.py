"""Several random seeds in one command: what each gives, their mean, those that collapsed, and which model is kept."""

import json
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from fairseq_models import World, make_world
from focus_cli.main import main
from huggingface_hub import ModelCard
from invoked import refuse

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.seeds import collapsed, mean_and_deviation, read_seeds


@pytest.mark.parametrize("text", ["", "1", "1,1", "1,,2", "1,a", "1,-2", "1,2.5", "1,²", f"1,{2**31}"])
def test_seeds_that_are_no_seeds(text: str) -> None:
    with pytest.raises(FocusError, match="must be several different whole numbers"):
        read_seeds(text)


def test_seeds_are_read_in_their_order() -> None:
    assert read_seeds("3, 1,0") == (3, 1, 0)


def test_mean_and_deviation_are_those_of_a_sample() -> None:
    assert mean_and_deviation([0.5, 0.7, 0.9]) == pytest.approx((0.7, np.std([0.5, 0.7, 0.9], ddof=1)))


@pytest.mark.parametrize(
    ("metrics", "baseline", "found"),
    [
        ((0.80, 0.82, 0.81), 0.4, set()),
        ((0.80, 0.82, 0.40), 0.4, {2}),
        ((0.80, 0.82, 0.50), 0.4, {2}),
        ((0.80, 0.82, 0.74), 0.4, set()),
        ((0.20, 0.50, 0.80), None, set()),
        ((0.80, 0.30), 0.2, set()),
        ((0.80, 0.30), 0.3, {1}),
        ((0.0, 0.85, 0.87, 0.86, 0.0), None, {0, 4}),
        ((0.3, 0.3, 0.3), 0.3, {0, 1, 2}),
        ((0.99, 0.9, 0.9), None, set()),
    ],
)
def test_which_seeds_collapsed(metrics: tuple[float, ...], baseline: float | None, found: set[int]) -> None:
    assert collapsed(dict(enumerate(metrics)), baseline).keys() == found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("seeds"))
    lines = world.train.read_text(encoding="utf-8").splitlines()
    rows = [f"{'high' if line[0] < 'M' else 'low'}\t{line}\n" for line in lines]
    parts = ("train.1", rows[:90]), ("train.2", rows[90:200]), ("valid", rows[200:300]), ("test", rows[300:400])
    for name, part in parts:
        (world.root / f"{name}.tsv").write_text("label\ttext\n" + "".join(part), encoding="utf-8")
    return world


_METRICS = ("accuracy", "macro_f1")


def _command(world: World, output: Path, *seeds: object) -> list[str]:
    tables = [word for name in ("train", "valid", "test") for word in (f"--{name}", world.root / f"{name}*.tsv")]
    how = ("--epochs", 2, "--batch-size", 16, "--lr", "3e-3", "--cpu", "--truncate")
    words = ("finetune", "classification", "--model", world.source, *tables, *how, *seeds, "--output", output)
    return [str(word) for word in words]


def test_the_best_of_several_seeds_is_kept(world: World, tmp_path: Path) -> None:
    """It is the same model as that of its seed alone. A second call does nothing, and one after a kill finishes."""
    output, alone = tmp_path / "out", tmp_path / "out.seeds" / "2"
    done = CliRunner().invoke(main, _command(world, alone, "--seed", 2), catch_exceptions=False)
    assert done.exit_code == 0
    trained = (alone / "model.pt").read_bytes()
    done = CliRunner().invoke(main, _command(world, output, "--seeds", "2,1"), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("update 13 of 26") == 1, "the other seed was there already"
    assert not (tmp_path / "out.seeds").exists()
    counts = json.loads((output / "focus.json").read_text())["counts"]
    seeds = counts["seeds"]
    assert list(seeds) == ["2", "1"]
    best = max(seeds, key=lambda seed: seeds[seed]["valid_accuracy"])
    assert counts["seed"] == int(best)
    assert counts["test_accuracy"] == seeds[best]["test_accuracy"]
    if best == "2":
        assert (output / "model.pt").read_bytes() == trained
    said = done.stdout.splitlines()
    for seed, own in seeds.items():
        told = f"accuracy {own['valid_accuracy']:.3f}, macro-f1 {own['valid_macro_f1']:.3f} on 100 validation samples; "
        assert any(f"out: seed {seed}: {told}" in line for line in said), done.stdout
    values = [own["test_accuracy"] for own in seeds.values()]
    mean = f"mean of 2 seeds: accuracy {statistics.mean(values):.3f} (deviation {statistics.stdev(values):.3f})"
    assert any(mean in line and "on 100 test samples" in line for line in said), done.stdout
    assert said[-1] == f"{output}: the model of seed {best}, the best on the validation table."
    assert len(torch.load(output / "model.pt")["model"]) > 30
    card = ModelCard.load(output / "README.md")
    told = {(entry.dataset_split, entry.metric_type): entry.metric_value for entry in card.data.eval_results}
    assert told == {(split, name): counts[f"{split}_{name}"] for split in ("valid", "test") for name in _METRICS}
    assert "The checkpoint was chosen by its accuracy on the validation file" in card.text
    assert f"| 2 | {seeds['2']['test_accuracy']:.4f} | {seeds['2']['test_macro_f1']:.4f} |" in card.text
    assert f"| mean | {statistics.mean(values):.4f} |" in card.text
    before = (output / "focus.json").stat().st_mtime_ns
    shutil.copytree(output, tmp_path / "out.seeds" / "1")
    again = CliRunner().invoke(main, _command(world, output, "--seeds", "2,1"), catch_exceptions=False)
    assert again.stdout.splitlines()[-1] == said[-1]
    assert (output / "focus.json").stat().st_mtime_ns == before
    assert not (tmp_path / "out.seeds").exists()


def test_one_seed_or_several(world: World, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, _command(world, tmp_path / "out", "--seeds", "1,2", "--seed", 3))
    assert done.exit_code == 2
    assert "--seed has no effect with --seeds" in done.stderr
    done = CliRunner().invoke(main, _command(world, tmp_path / "out", "--seeds", "1"))
    assert done.exit_code == 1
    assert "--seeds 1: must be several" in done.stderr
    assert not list(tmp_path.iterdir())
    for more in ((), ("--seeds", "1,2")):
        refuse("focus", *_command(world, tmp_path / "a:b", *more), says="fairseq treats a colon as the end of a path")


def test_nothing_is_left_of_tables_that_are_refused(world: World, tmp_path: Path) -> None:
    """Also if the fault is found only when the data of the first seed are written."""
    (tmp_path / "one.tsv").write_text("label\ttext\n" + "high\tba da\n" * 9, encoding="utf-8")
    tables = ("--train", tmp_path / "one.tsv", "--valid", tmp_path / "one.tsv", "--seeds", "1,2", "--cpu")
    refuse(
        *("focus", "finetune", "classification", "--model", world.source, *tables, "--output", tmp_path / "out"),
        says="one.tsv",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["one.tsv"]
