"""focus train on several ranks, started as torchrun and Slurm start them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from fairseq_models import World, make_world, script
from invoked import run

from focus_plugin.errors import FocusError
from focus_plugin.training.checkpoints import LAST
from focus_plugin.training.ranks import Rank, rank_of

UPDATES = 20


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Tensors this small are slower on several threads."""
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def data(world: World) -> Path:
    run("focus", "prepare", "--vocab", world.source, "--train", world.train, "--valid", world.valid, "--output", "data",
        cwd=world.root)  # fmt: skip
    return world.root / "data"


def _train(world: World, data: Path, output: Path) -> list[str]:
    return [
        *(script("focus"), "train", str(data), "--init", str(world.source), "--output", str(output), "--cpu"),
        *("--updates", str(UPDATES), "--validate-every", "4", "--device-tokens", "200", "--batch-tokens", "400"),
        *("--", "--tokens-per-sample", "25", "--cpu-precision", "float32"),
    ]


def _result(output: Path) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    losses = json.loads((output / "focus.json").read_text(encoding="utf-8"))["counts"]["valid_loss_nats"]
    return losses, torch.load(output / "model.pt", weights_only=True)["model"]


def test_ranks_train_as_one_process_and_resume(world: World, data: Path, tmp_path: Path) -> None:
    subprocess.run(_train(world, data, tmp_path / "one"), check=True)
    losses, weights = _result(tmp_path / "one")
    assert list(losses) == ["4", "8", "12", "16", "20"]

    command = _train(world, data, tmp_path / "two")
    assert _said_when_a_machine_is_lost(command, tmp_path / "two.unfinished") == (
        "Error: The connection to another rank was lost: see what it says, then repeat the command for all of them."
    )
    assert not (tmp_path / "two").exists()
    launched = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--no-python", *command]
    done = subprocess.run(launched, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("reached at update") == 1
    assert "Loaded checkpoint" in (tmp_path / "two" / "train.log").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]

    losses_of_two, weights_of_two = _result(tmp_path / "two")
    assert losses_of_two == pytest.approx(losses, rel=1e-5)
    for name, tensor in weights.items():
        torch.testing.assert_close(weights_of_two[name], tensor, rtol=1e-4, atol=1e-5)

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "two").iterdir()}
    assert subprocess.run(launched).returncode == 0  # every rank sees that there is nothing to do
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "two").iterdir()} == before


def _said_when_a_machine_is_lost(command: list[str], unfinished: Path) -> str:
    """What rank 0 says at last if everything of rank 1 is killed after the first checkpoint."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    launcher = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **launcher, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]
    while not (unfinished / LAST).exists() and all(rank.poll() is None for rank in ranks):
        time.sleep(0.1)
    os.killpg(ranks[1].pid, signal.SIGKILL)
    _, said = ranks[0].communicate(timeout=120)
    ranks[1].communicate()
    assert ranks[0].returncode == 1, said
    return said.splitlines()[-1]


SLURM = {
    "SLURM_JOB_ID": "123456",
    "SLURM_PROCID": "9",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_TASKS": "16",
    "SLURM_STEP_NODELIST": "node[03-04]",
}


def test_ranks_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FocusError, match=r"SLURM_STEP_NODELIST=node.*scontrol cannot read it"):
        rank_of(SLURM)
    program = tmp_path / "scontrol"
    program.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[03-04]" ] && printf "node03\\nnode04\\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    expected = Rank(number=9, world=16, local=1, address="node03", port=23456)
    assert rank_of(SLURM) == expected
    assert rank_of(SLURM | {"SLURM_STEP_NUM_TASKS": "1"}) is None


def test_variables_without_a_launcher_are_no_ranks() -> None:
    variables = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    assert rank_of(variables) is None
    batch_script = {name: value for name, value in SLURM.items() if "STEP" not in name}
    assert rank_of({**batch_script, "SLURM_NTASKS": "16", "SLURM_JOB_NODELIST": "node[03-04]"}) is None
    launched = rank_of(variables | {"TORCHELASTIC_RUN_ID": "none"})
    assert launched == Rank(number=1, world=2, local=1, address="localhost", port=29500)
    assert rank_of(variables | {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "1", "RANK": "0"}) is None
