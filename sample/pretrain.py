"""Pretrain the sample's source encoder from scratch: `python sample/pretrain.py --work DIR --output sample/source`.

A tiny XLM-R: one vocabulary for five languages, of which Swahili, the quickstart's target, is hardly seen.
"""

import argparse
import subprocess
import sys
import sysconfig
from pathlib import Path

import torch

from focus_plugin.checkpoint.checkpoint import assemble
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING, expected_names
from focus_plugin.checkpoint.release import load_fairseq, write_release
from focus_plugin.checkpoint.release_state import fairseq_shape, release_state
from focus_plugin.files import whole_directory
from focus_plugin.vocabulary.readers import read_dictionary

LINES = {"eng": 30_000, "deu": 30_000, "spa": 30_000, "zul": 30_000, "swa": 1_000}
VOCABULARY = 4_000
CONFIG = EncoderConfig(layers=3, width=128, feedforward=512, attention_heads=4, max_positions=64)
UPDATES = 2_000
TRAINING = {
    "user-dir": "focus_plugin",
    "task": "focus_masked_lm",
    "arch": "focus_roberta",
    "criterion": "masked_lm",
    "tokens-per-sample": 64,
    "sample-break-mode": "eos",
    "max-tokens": 4096,
    "optimizer": "adam",
    "adam-betas": "(0.9, 0.98)",
    "adam-eps": "1e-6",
    "weight-decay": 0.01,
    "clip-norm": 1.0,
    "dropout": 0.0,
    "attention-dropout": 0.0,
    "lr": 2e-3,
    "lr-scheduler": "polynomial_decay",
    "warmup-updates": UPDATES // 20,
    "total-num-update": UPDATES,
    "max-update": UPDATES,
    "validate-interval-updates": UPDATES // 5,
    "save-interval-updates": UPDATES // 5,
    "keep-interval-updates": 1,
    "validate-interval": 1_000_000,
    "save-interval": 1_000_000,
    "log-interval": 200,
    "log-format": "simple",
    "seed": 1,
}


def run(*command: object) -> None:
    """Run a command installed beside this interpreter, or this interpreter itself; stop if it fails."""
    program = sys.executable if command[0] == "python" else f"{sysconfig.get_path('scripts')}/{command[0]}"
    subprocess.run([program, *map(str, command[1:])], check=True)


def first_weights(tokens: int) -> dict[str, torch.Tensor]:
    """Random weights, of a deviation that suits the width; fairseq's suits 768 and learns slowly at 128."""
    draw = torch.Generator().manual_seed(1)
    wide, inner = CONFIG.width, CONFIG.feedforward
    shapes = {"embed_tokens": (tokens, wide), "embed_positions": (CONFIG.max_positions + 2, wide)}
    shapes |= {"fc1": (inner, wide), "fc2": (wide, inner)}
    weights = {}
    for name in expected_names(CONFIG.layers):
        part, kind = name.split(".")[-2:]
        rows, columns = shapes.get(part, (tokens if part == "lm_head" else wide, wide))
        if kind == "bias":
            weights[name] = torch.zeros(rows)
        elif "norm" in part:
            weights[name] = torch.ones(wide)
        else:
            weights[name] = torch.randn(rows, columns, generator=draw) * columns**-0.5
    return weights | {OUTPUT_EMBEDDING: weights[EMBEDDING]}


def pretrain(work: Path, output: Path) -> None:
    """Make text, vocabulary and data in ``work``, train there, and write the release directory ``output``."""
    lines = [f"{language}={count}" for language, count in LINES.items()]
    run("python", Path(__file__).with_name("generate.py"), "--output", work, "--seed", 7, "--lines", *lines)
    for split in ("train", "valid"):
        text = b"".join((work / f"{language}.{split}.txt").read_bytes() for language in LINES)
        (work / f"{split}.txt").write_bytes(text)
    run("focus", "vocab", "--input", work / "train.txt", "--size", VOCABULARY, "--output", work / "vocab")
    prepared = ("--train", work / "train.txt", "--valid", work / "valid.txt", "--output", work / "data")
    run("focus", "prepare", "--vocab", work / "vocab", *prepared)
    vocabulary = read_dictionary(work / "vocab" / "dict.txt")
    torch.save(release_state(CONFIG, first_weights(len(vocabulary))), work / "first.pt")
    shape = {name.replace("_", "-"): value for name, value in fairseq_shape(CONFIG).items() if value is not False}
    options = [part for name, value in (shape | TRAINING).items() for part in (f"--{name}", value)]
    start = ("--finetune-from-model", work / "first.pt", "--save-dir", work / "checkpoints", "--no-epoch-checkpoints")
    run("fairseq-train", work / "data", "--cpu", "--skip-invalid-size-inputs-valid-test", *start, *options)
    tensors, _ = load_fairseq(work / "checkpoints" / "checkpoint_best.pt")
    files = (work / "vocab" / "dict.txt", work / "vocab" / "sentencepiece.bpe.model")
    checkpoint = assemble(work, tensors, vocabulary, None, CONFIG.attention_heads)
    with whole_directory(output) as directory:
        write_release(directory, checkpoint.config, checkpoint.tensors, *files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="directory for text, data and checkpoints")
    parser.add_argument("--output", type=Path, required=True, help="directory to make")
    arguments = parser.parse_args()
    pretrain(arguments.work, arguments.output)
