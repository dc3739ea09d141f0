"""Models by their names on the Hub: from a server on this machine, from the cache alone, and where neither has them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import run
from encoder_models import with_config
from fake_hub import FakeHub, serving
from huggingface_hub import ModelCard
from safetensors.torch import load_file

COMMITS = {"main": "1" * 40, "v1": "2" * 40}
LOCATE = """
import json, sys
from pathlib import Path
from focus_plugin.checkpoint.hub import locate
from focus_plugin.errors import FocusError

for name in sys.argv[1:]:
    try:
        found = locate(Path(name))
        print(json.dumps([str(found.directory), found.revision]))
    except FocusError as error:
        print(json.dumps(str(error)))
"""


def located(cache: Path, *names: str, cwd: Path, **environment: str) -> list:
    """What ``locate`` makes of each name, the directory and the revision or the sentence, in a process of its own."""
    settings = {**os.environ, "HF_HOME": str(cache), **environment}
    command = [sys.executable, "-c", LOCATE, *names]
    done = subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def all_commits(*names: str) -> dict[tuple[str, str], str]:
    pairs = [*COMMITS.items(), *((commit, commit) for commit in COMMITS.values())]
    return {(name, revision): commit for name in names for revision, commit in pairs}


@pytest.fixture
def hub(hugging_face, tmp_path):
    both = Path(shutil.copytree(hugging_face, tmp_path / "both"))
    torch.save({"x": torch.zeros(3)}, both / "pytorch_model.bin")
    (both / "README.md").write_text("Nobody asked for this.")
    pickled = Path(shutil.copytree(hugging_face, tmp_path / "pickled"))
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    models = {
        "org/both": both,
        "org/pickled": pickled,
        "org/gated": both,
        "org/bert": with_config(both, tmp_path / "bert", model_type="bert"),
    }
    with serving(FakeHub(models, all_commits(*models), gated={"org/gated"})) as served:
        yield served


def test_convert_takes_a_name_and_pins_its_commit(hub, vocabulary, target_text, hugging_face, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    options = ("--vocab", vocabulary, "--method", "random", "--quiet")
    run("focus", "convert", "--source", "org/both@v1", *options, "--output", tmp_path / "hub", cwd=tmp_path)
    run("focus", "convert", "--source", hugging_face, *options, "--output", tmp_path / "local")
    assert (tmp_path / "hub" / "model.pt").read_bytes() == (tmp_path / "local" / "model.pt").read_bytes()
    described, local = (json.loads((tmp_path / name / "focus.json").read_text()) for name in ("hub", "local"))
    assert described["counts"]["source_revision"] == f"org/both@{COMMITS['v1']}"
    assert "source_revision" not in local["counts"]
    cards = [ModelCard.load(tmp_path / name / "README.md").data for name in ("hub", "local")]
    assert [card.base_model for card in cards] == ["org/both", None]
    assert described["inputs"] == local["inputs"]
    assert not {"pytorch_model.bin", "README.md"} & set(hub.fetched)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    again = run("focus", "convert", "--source", "org/both@v1", *options, "--output", tmp_path / "hub", cwd=tmp_path)
    assert again.stdout == ""


def test_names_are_found_or_refused_in_one_sentence(hub, tmp_path):
    cache, endpoint = tmp_path / "cache", {"HF_ENDPOINT": hub.address}
    (tmp_path / "org" / "local").mkdir(parents=True)
    hub.models["org/local"] = hub.models["org/both"]
    pickled, local, path, gated, absent, revision, bert = located(
        cache,
        *("org/pickled", "org/local", "../absent", "org/gated", "org/absent", "org/both@v9", "org/bert@main"),
        cwd=tmp_path,
        **endpoint,
    )
    assert pickled[1] == f"org/pickled@{COMMITS['main']}"
    assert (Path(pickled[0]) / "pytorch_model.bin").is_file()
    assert local == ["org/local", None]
    assert path == ["../absent", None]
    assert gated == (
        f"org/gated: access to this model has to be requested; do so at {hub.address}/org/gated, then log in with hf "
        "auth login."
    )
    assert absent.startswith("org/absent: no such directory, and no model of that name on the Hugging Face Hub")
    assert revision == "org/both@v9: the model has no revision v9 on the Hugging Face Hub."
    assert "config.json: model_type is 'bert', which" in bert
    assert hub.fetched.count("model.safetensors") == 0, "nothing is fetched of a model that is refused"


def write_cache(home: Path, name: str, model: Path) -> Path:
    """The cache that the Hub's client leaves: blobs, a snapshot of links to them, and a reference to it."""
    root = home / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMITS["main"]
    for directory in (snapshot, root / "blobs", root / "refs"):
        directory.mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMITS["main"])
    for number, path in enumerate(sorted(model.iterdir())):
        shutil.copy(path, root / "blobs" / str(number))
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", str(number)))
    return snapshot


def test_the_cache_is_enough_without_network(hugging_face, tmp_path):
    snapshot = write_cache(tmp_path / "home", "org/both", hugging_face)
    partial = write_cache(tmp_path / "home", "org/partial", hugging_face)
    (partial / "model.safetensors").unlink()
    names = ("org/both", "org/both@v1", "org/absent")
    pinned = f"org/both@{COMMITS['main']}"
    environments = {"HF_HUB_OFFLINE is set": {"HF_HUB_OFFLINE": "1"}}
    environments["http://127.0.0.1:9 cannot be reached"] = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    for why, environment in environments.items():
        whole, *absent = located(tmp_path / "home", *names, cwd=tmp_path, **environment)
        assert whole == [str(snapshot), pinned]
        says = f"no such directory; {why}, and {tmp_path}/home/hub holds no model of that name."
        assert absent == [f"{name}: {says}" for name in names[1:]]
    whole, lacking = located(tmp_path / "home", pinned, "org/partial", cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert whole == [str(snapshot), pinned]
    assert lacking.startswith(f"org/partial: {partial} lacks weights")


def test_the_client_is_an_extra(tmp_path):
    """A package of its name that cannot be imported stands for the one that is not installed."""
    (tmp_path / "huggingface_hub.py").write_text("raise ImportError")
    said = located(tmp_path, "org/both", cwd=tmp_path, PYTHONPATH=str(tmp_path))[0]
    assert said.startswith(
        "org/both: no such directory; a model of that name on the Hugging Face Hub can be used after"
    )
    assert "focus-fairseq[hub]" in said
