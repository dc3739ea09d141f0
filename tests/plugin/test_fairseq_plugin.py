"""The plugin under fairseq's own commands: initialized once, resumed, alike on every rank, in half precision."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from fairseq_models import CONFIG, PLUGIN, USER_DIR, World, prepare_data, run, script, train_options
from invoked import focus
from vocabularies import train_on

from focus_plugin.checkpoint.forward import head_states, hidden_states
from focus_plugin.checkpoint.names import OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.trusted import trusted_globals
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.vocabulary import MASK

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(world: World) -> Path:
    """Data under a target vocabulary, smaller than the source's."""
    vocabulary = world.root / "vocabulary"
    vocabulary.mkdir()
    train_on(world.valid, 120, vocabulary)
    return prepare_data(world, world.root / "data", vocabulary)


def _initialization(world: World) -> list[object]:
    return ["--arch", "focus_roberta", "--focus-source", world.source, "--focus-method", "random", "--focus-seed", 3]


def _saved(path: Path) -> dict[str, torch.Tensor]:
    with trusted_globals():
        return dict(torch.load(path)["model"])


def test_model_is_initialized_from_the_source(world: World, data: Path, tmp_path: Path) -> None:
    """One update at a learning rate of zero saves the weights as the model was built."""
    options = [*train_options(data, tmp_path, 1), "--warmup-updates", 1000, "--lr", 0]
    training = run(script("fairseq-train"), *PLUGIN, *_initialization(world), *options)
    assert training.returncode == 0, training.stdout
    given = ("--source", world.source, "--vocab", world.root / "vocabulary", "--method", "random", "--seed", 3)
    focus("convert", *given, "--output", tmp_path / "converted")
    expected = torch.load(tmp_path / "converted" / "model.pt")["model"]
    saved = _saved(tmp_path / "checkpoint_last.pt")
    assert all(torch.equal(saved[name], tensor) for name, tensor in expected.items())


def test_samples_are_cut_to_what_the_encoder_reads(world: World, data: Path, tmp_path: Path) -> None:
    options = [*train_options(data, tmp_path, 1), "--tokens-per-sample", 512]
    training = run(script("fairseq-train"), *PLUGIN, *_initialization(world), *options)
    assert training.returncode == 0, training.stdout
    tokens = float(re.search(r'"wpb": "([\d.]+)"', training.stdout)[1])
    assert tokens > 8 * 60, "several samples of 62 tokens in a batch of 500"


def test_killed_run_goes_on_from_its_checkpoint(world: World, data: Path, tmp_path: Path) -> None:
    command = [
        *(script("fairseq-train"), *PLUGIN, *_initialization(world)),
        *(*train_options(data, tmp_path, 100_000), "--save-interval-updates", 5, "--keep-interval-updates", 1),
    ]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "checkpoint_last.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    resumed = run(*command, "--max-update", 30)
    assert resumed.returncode == 0, resumed.stdout
    loaded = re.search(r"Loaded checkpoint \S+ \(epoch \d+ @ (\d+) updates\)", resumed.stdout)
    assert loaded
    assert int(loaded[1]) >= 5
    assert "training goes on from here" in resumed.stdout
    assert "initializing" not in resumed.stdout


def test_checkpoints_evaluate_without_the_source(world: World, data: Path, tmp_path: Path) -> None:
    initialization = _initialization(world)
    initialization[3] = tmp_path / "moved"
    world.source.rename(tmp_path / "moved")
    training = run(script("fairseq-train"), *PLUGIN, *initialization, *train_options(data, tmp_path, 2))
    (tmp_path / "moved").rename(world.source)
    assert training.returncode == 0, training.stdout
    command = [script("fairseq-validate"), data, *PLUGIN, "--path", tmp_path / "checkpoint_last.pt", "--cpu"]
    validation = run(*command, "--max-tokens", 500, "--log-format", "json")
    assert validation.returncode == 0, validation.stdout
    statistics = json.loads(validation.stdout.rpartition("| valid | ")[2])
    assert float(statistics["valid_nats"]) == pytest.approx(float(statistics["valid_loss"]) * 0.693147, abs=1e-3)


@pytest.mark.parametrize("precision", ["--bf16", "--memory-efficient-fp16"])
def test_half_precision(world: World, data: Path, tmp_path: Path, precision: str) -> None:
    training = run(
        script("fairseq-train"), *PLUGIN, *_initialization(world), *train_options(data, tmp_path, 2), precision
    )
    assert training.returncode == 0, training.stdout
    with trusted_globals():
        saved = torch.load(tmp_path / "checkpoint_last.pt")["model"]
    kinds = {"--bf16": torch.bfloat16, "--memory-efficient-fp16": torch.float16}
    weights = [tensor for name, tensor in saved.items() if not name.endswith(".version")]
    assert weights
    for tensor in weights:  # fairseq saves every number as float32, whatever it trains in
        assert torch.equal(tensor, tensor.to(kinds[precision]).float())
    assert all(torch.isfinite(tensor).all() for tensor in saved.values())
    trusted = {"argparse.Namespace"}
    assert set(torch.serialization.get_unsafe_globals_in_checkpoint(tmp_path / "checkpoint_last.pt")) <= trusted


def test_an_absent_source_ends_the_training_with_one_sentence(world: World, data: Path, tmp_path: Path) -> None:
    options = [*_initialization(world), *train_options(data, tmp_path, 2), "--focus-source", "nowhere"]
    training = run(script("fairseq-train"), *PLUGIN, *options)
    assert training.returncode != 0
    assert re.search("FocusError: .*nowhere: no such directory", training.stdout.strip().splitlines()[-1])


def test_user_dir_by_name_from_any_directory(world: World, data: Path, tmp_path: Path) -> None:
    """fairseq looks beside its own package, where this one is installed, and refuses a name that it does not find."""
    for name in ("focus_plugins", "focus_plugin"):
        plugin, saved = ["--user-dir", name, *PLUGIN[2:], *_initialization(world)], tmp_path / name / "saved"
        saved.parent.mkdir()
        training = run(script("fairseq-train"), *plugin, *train_options(data, saved, 1), cwd=saved.parent)
        assert ("FileNotFoundError" in training.stdout) == (name == "focus_plugins")
    with trusted_globals():
        checkpoint = torch.load(saved / "checkpoint_last.pt")
    assert checkpoint["cfg"]["task"]["_name"] == "focus_masked_lm"
    tokens = len(read_dictionary(data / "dict.txt"))
    assert checkpoint["model"]["encoder.sentence_encoder.embed_tokens.weight"].shape == (tokens, CONFIG.width)


STOCK = """
import sys

class NoPlugin:
    def find_spec(self, name, *_):
        if name.partition(".")[0].startswith("focus_"):
            raise ImportError(f"stock fairseq asked for {name}")

sys.meta_path.insert(0, NoPlugin())

import argparse
import torch
from fairseq.models.roberta import XLMRModel

model = XLMRModel.from_pretrained(sys.argv[1]).eval()
assert argparse.Namespace not in torch.serialization.get_safe_globals()
tokens = model.encode("Ba be bi.")
filled = [token for _, _, token in model.fill_mask("Ba <mask> bi.", topk=3)]
torch.save([tokens, model.extract_features(tokens), filled, model.model.max_positions()], sys.argv[2])
"""


@torch.inference_mode()
def test_release_state_needs_no_plugin(world: World, tmp_path: Path) -> None:
    """Stock fairseq loads it where nothing of this project can be imported, and computes what it should."""
    assert torch.serialization.get_unsafe_globals_in_checkpoint(world.source / "model.pt") == []
    stock = run(sys.executable, "-c", STOCK, world.source, tmp_path / "found.pt", cwd=tmp_path)
    assert stock.returncode == 0, stock.stdout
    tokens, features, filled, max_positions = torch.load(tmp_path / "found.pt")
    checkpoint = read_checkpoint(world.source)
    ids, tensors = checkpoint.vocabulary.ids, checkpoint.tensors

    def cut(text: str) -> list[int]:
        return [ids[piece.decode()] for piece in checkpoint.tokenizer.pieces([text])[0]]

    assert tokens.tolist() == [0, *cut("Ba be bi."), 2]
    torch.testing.assert_close(features, hidden_states(CONFIG, tensors, tokens[None]), atol=1e-5, rtol=0)
    masked = [0, *cut("Ba"), ids[MASK], *cut("bi."), 2]
    states = head_states(tensors, hidden_states(CONFIG, tensors, torch.tensor([masked])))
    logits = states[0, masked.index(ids[MASK])] @ tensors[OUTPUT_EMBEDDING].T + tensors[OUTPUT_BIAS]
    assert filled == [checkpoint.vocabulary.tokens[i].replace("▁", " ") for i in logits.topk(3).indices]
    assert max_positions == CONFIG.max_positions


RANK = """
import hashlib, sys, torch
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

rank, port, *arguments = sys.argv[1:]
torch.manual_seed(int(rank))
torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", world_size=2, rank=int(rank))
args = options.parse_args_and_arch(options.get_training_parser(), arguments)
cfg = convert_namespace_to_omegaconf(args)
model = tasks.setup_task(cfg.task).build_model(cfg.model)
state = b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())
print("digest", hashlib.sha256(state).hexdigest())
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _two_ranks(commands: list[list[str]]) -> list[tuple[int, str]]:
    """Exit status and output of two processes that run at the same time."""
    environment = {**os.environ, "PYTHONPATH": f"{USER_DIR.parent}:{os.environ.get('PYTHONPATH', '')}"}
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        for command in commands
    ]
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]


def _built_on_two_ranks(tmp_path: Path, *options: object) -> list[tuple[int, str]]:
    (tmp_path / "rank.py").write_text(RANK)
    port = _free_port()
    return _two_ranks([[sys.executable, *map(str, (tmp_path / "rank.py", rank, port, *options))] for rank in range(2)])


def test_every_rank_starts_from_the_same_bytes(world: World, data: Path, tmp_path: Path) -> None:
    options = [*PLUGIN, *_initialization(world), *train_options(data, tmp_path, 1)]
    ranks = _built_on_two_ranks(tmp_path, *options)
    assert [status for status, _ in ranks] == [0, 0], ranks
    digests = [re.findall(r"^digest (\w{64})$", output, re.MULTILINE) for _, output in ranks]
    assert len(digests[0]) == 1
    assert digests[0] == digests[1]


def test_a_fault_ends_every_rank(world: World, data: Path, tmp_path: Path) -> None:
    options = [*PLUGIN, *_initialization(world), *train_options(data, tmp_path, 1), "--encoder-layers", 3]
    ranks = _built_on_two_ranks(tmp_path, *options)
    assert all(status != 0 for status, _ in ranks)
    assert "has encoder_layers 2, but" in ranks[0][1]
    assert "see the message of rank 0" in ranks[1][1]


def test_training_on_two_ranks_resumes(world: World, data: Path, tmp_path: Path) -> None:
    def train(updates: int) -> list[tuple[int, str]]:
        ranks = [
            *("--distributed-world-size", 2, "--distributed-init-method", f"tcp://127.0.0.1:{_free_port()}"),
            *("--distributed-no-spawn", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"),
        ]
        options = [*PLUGIN, *_initialization(world), *train_options(data, tmp_path, updates), *ranks]
        return _two_ranks(
            [[script("fairseq-train"), *map(str, options), "--distributed-rank", str(rank)] for rank in range(2)]
        )

    # Rank 0 alone is asked: gloo may abort the other one at its very end, where rank 0 has already gone.
    status, output = train(2)[0]
    assert status == 0, output
    status, output = train(4)[0]
    assert status == 0, output
    assert re.search(r"Loaded checkpoint \S+ \(epoch 1 @ 2 updates\)", output)
