"""The page on adding a method: its example, put where the page says, in every way it can be used."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from commands import refuse, run
from fairseq_models import PLUGIN, World, make_world, script, train_options
from fairseq_models import run as run_fairseq

import focus_plugin
from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.mixing.matrix import load_matrix
from focus_plugin.trusted import trusted_globals

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-method.md"
OPTIONS = ("--lines", 40, "--ridge", 0.5)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """With a target vocabulary and data, and ``contextual.py`` from the page."""
    world = make_world(tmp_path_factory.mktemp("world"))
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert "Save it as `contextual.py`" in PAGE.read_text(encoding="utf-8")
    (world.root / "contextual.py").write_text(code, encoding="utf-8")
    run("focus", "vocab", "--input", world.valid, "--size", 150, "--output", world.root / "vocabulary")
    text = ("--train", world.train, "--valid", world.valid)
    run("focus", "prepare", "--vocab", world.root / "vocabulary", *text, "--output", world.root / "data")
    return world


def convert(world: World, method: object, output: Path) -> dict[str, object]:
    """Convert by the method; returns the manifest."""
    given = ("--source", world.source, "--vocab", world.root / "vocabulary", "--corpus", world.valid)
    run("focus", "convert", *given, "--method", method, *OPTIONS, "--output", output)
    return dict(json.loads((output / "focus.json").read_text()))


@pytest.fixture(scope="module")
def converted(world: World) -> Path:
    convert(world, world.root / "contextual.py", world.root / "converted")
    return world.root / "converted"


def test_the_example_makes_rows_that_are_told_as_learned(world, converted):
    manifest = json.loads((converted / "focus.json").read_text())
    counts = manifest["counts"]
    assert counts["learned"] > 20
    assert counts["mixed"] == 0
    assert counts["overlap"] + counts["learned"] + counts["filled"] == counts["target_tokens"]
    assert manifest["options"]["method"] == "contextual"
    assert manifest["options"]["of_method"] == {
        "match_symbols": False,
        "match_fuzzy": False,
        "lines": 40,
        "ridge": 0.5,
    }
    matrix = load_matrix(converted / "mixing.safetensors")
    token = matrix.target[int(matrix.learned.nonzero()[0][0])]
    assert run("focus", "explain", converted, token).stdout.startswith(f"{token}: learned; the method made its row")
    page = (converted / "report.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script', page, re.S)[1])
    assert data["figures"]["vocabulary"]["learned"] == counts["learned"] == data["tokens"]["kinds"].count("3")
    assert f"{counts['learned']} (" in page
    given = ("--source", world.source, "--vocab", world.root / "vocabulary", "--output", world.root / "other")
    refuse("focus", "convert", *given, "--matrix", converted / "mixing.safetensors", says="Convert with the method")


def test_learned_rows_come_from_the_source_model(world, converted, tmp_path):
    """With other layers they are others; copied rows are not."""
    other = World(tmp_path, Path(shutil.copytree(world.source, tmp_path / "source")), world.train, world.valid)
    state = torch.load(other.source / "model.pt")
    weights = {name: 2 * value if ".layers.1.fc" in name else value for name, value in state["model"].items()}
    torch.save({**state, "model": weights}, other.source / "model.pt")
    shutil.copytree(world.root / "vocabulary", tmp_path / "vocabulary")
    convert(other, world.root / "contextual.py", tmp_path / "out")
    learned = torch.from_numpy(load_matrix(converted / "mixing.safetensors").learned)
    one, two = (read_checkpoint(path).tensors[EMBEDDING] for path in (converted, tmp_path / "out"))
    assert (one[learned] != two[learned]).any(1).all()
    assert torch.equal(one[~learned], two[~learned])
    assert len(one[learned].unique(dim=0)) == learned.sum()


def test_fairseq_builds_the_same_weights(world, converted, tmp_path):
    options = [f"--focus-{word[2:]}" if str(word).startswith("--") else word for word in OPTIONS]
    own = ["--focus-source", world.source, "--focus-method", world.root / "contextual.py", *options]
    training = [*train_options(world.root / "data", tmp_path, 1), "--warmup-updates", 1000, "--lr", 0]
    command = [*PLUGIN, "--arch", "focus_roberta", *own, "--focus-corpus", world.valid, *training]
    done = run_fairseq(script("fairseq-train"), *command)
    assert done.returncode == 0, done.stdout
    with trusted_globals():
        saved = torch.load(tmp_path / "checkpoint_last.pt")["model"]
    for name, value in torch.load(converted / "model.pt")["model"].items():
        torch.testing.assert_close(saved[name], value, atol=1e-6, rtol=0, msg=name)


def test_the_folder_of_methods_is_another_place_for_it(world, converted, tmp_path, monkeypatch):
    package = Path(shutil.copytree(Path(focus_plugin.__file__).parent, tmp_path / "focus_plugin"))
    shutil.copy(world.root / "contextual.py", package / "methods")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    convert(world, "contextual", tmp_path / "out")
    assert (tmp_path / "out" / "model.pt").read_bytes() == (converted / "model.pt").read_bytes()
    assert re.search(r"^  contextual  ", run("focus", "convert", "--help").stdout, re.MULTILINE)


def test_a_package_of_ones_own_is_the_third_place(world, converted, tmp_path, monkeypatch):
    information = tmp_path / "mypackage-2.0.dist-info"
    information.mkdir()
    (tmp_path / "mypackage").mkdir()
    shutil.copy(world.root / "contextual.py", tmp_path / "mypackage")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 2.0\n")
    [entry] = re.findall(r"`(contextual = [\w.:]+)` in the group `focus_fairseq.methods`", PAGE.read_text())
    (information / "entry_points.txt").write_text(f"[focus_fairseq.methods]\n{entry}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    manifest = convert(world, "contextual", tmp_path / "out")
    assert (tmp_path / "out" / "model.pt").read_bytes() == (converted / "model.pt").read_bytes()
    assert manifest["made_by"]["mypackage"] == "2.0"
