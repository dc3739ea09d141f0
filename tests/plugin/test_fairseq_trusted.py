"""Checkpoints of fairseq load, and one that wants to run code does not."""

import os
import pickle
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fairseq_models import CONFIG

from focus_plugin.checkpoint.weights import load_pickled
from focus_plugin.errors import FocusError
from focus_plugin.jobs.pretrain import masked_lm_task
from focus_plugin.training.commands import Schedule, Training, train_command
from focus_plugin.training.recipe import Recipe
from focus_plugin.training.run import run_training
from focus_plugin.trusted import trusted_globals


class _Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.fixture(autouse=True)
def nothing_trusted() -> Iterator[None]:
    """torch's list empty, whatever other tests have imported."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def malicious(tmp_path: Path, marker: Path) -> Path:
    path = tmp_path / "malicious.pt"
    torch.save({"args": Namespace(arch="roberta"), "model": _Malicious(marker)}, path)
    return path


def test_a_pickle_that_runs_code_is_refused(malicious: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(FocusError, match=r"refused.*system"):
        load_pickled(malicious)
    assert not marker.exists()
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    with trusted_globals(), pytest.raises(pickle.UnpicklingError, match="system"):
        torch.load(malicious)
    assert not marker.exists()


@pytest.mark.parametrize("variable", ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "SOMETHING_ELSE"])
def test_training_refuses_it_too(
    malicious: Path, marker: Path, tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the environment tells torch to unpickle anything."""
    monkeypatch.setenv(variable, "1")
    (tmp_path / "dict.txt").write_text("a 1\n")
    training = Training(
        data=tmp_path,
        init=malicious,
        config=CONFIG,
        schedule=Schedule(updates=1, recipe=Recipe(learning_rate=1e-3), validate_every=1),
        task=masked_lm_task(CONFIG, 100),
        cpu=True,
        extra=("--disable-validation",),
    )
    command = train_command(training, tmp_path / "out")
    with pytest.raises(FocusError, match="system") as failure:
        run_training(command, tmp_path / "log", print)
    assert str(tmp_path / "log") in str(failure.value)
    assert not marker.exists()


def test_options_of_old_releases_load_inside_the_block_only(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"args": Namespace(arch="roberta_base")}, path)
    with trusted_globals():
        assert torch.load(path)["args"].arch == "roberta_base"
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path)


def test_what_was_trusted_before_stays_trusted(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"args": Namespace(arch="roberta_base")}, path)
    with torch.serialization.safe_globals([Namespace]):
        with trusted_globals():
            pass
        assert torch.load(path)["args"].arch == "roberta_base"
