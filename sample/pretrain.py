"""Pretrain the sample's source encoder from scratch: `python sample/pretrain.py --work DIR --output sample/source`.

A tiny XLM-R: one vocabulary for five languages, of which Swahili, the quickstart's target, is hardly seen.
"""

import argparse
import subprocess
import sys
import sysconfig
from pathlib import Path

from focus_plugin.checkpoint.checkpoint import assemble
from focus_plugin.checkpoint.release import load_fairseq, write_release
from focus_plugin.files import whole_directory
from focus_plugin.vocabulary.readers import read_dictionary

LINES = {"eng": 30_000, "deu": 30_000, "spa": 30_000, "zul": 30_000, "swa": 1_000}
VOCABULARY = 4_000
HEADS = 4
UPDATES = 4_000
SHAPE = {
    "encoder-layers": 3,
    "encoder-embed-dim": 128,
    "encoder-ffn-embed-dim": 512,
    "encoder-attention-heads": HEADS,
    "max-positions": 128,
}
TRAINING = {
    "user-dir": "focus_plugin",
    "task": "focus_masked_lm",
    "arch": "focus_roberta",
    "criterion": "masked_lm",
    "tokens-per-sample": 128,
    "max-tokens": 2048,
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
    "validate-interval-updates": UPDATES // 6,
    "save-interval-updates": UPDATES // 6,
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
    options = [part for name, value in (SHAPE | TRAINING).items() for part in (f"--{name}", value)]
    run("fairseq-train", work / "data", "--save-dir", work / "checkpoints", "--no-epoch-checkpoints", "--cpu", *options)
    tensors, _ = load_fairseq(work / "checkpoints" / "checkpoint_best.pt")
    files = (work / "vocab" / "dict.txt", work / "vocab" / "sentencepiece.bpe.model")
    checkpoint = assemble(work, tensors, read_dictionary(files[0]), None, HEADS)
    with whole_directory(output) as directory:
        write_release(directory, checkpoint.config, checkpoint.tensors, *files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="directory for text, data and checkpoints")
    parser.add_argument("--output", type=Path, required=True, help="directory to make")
    arguments = parser.parse_args()
    pretrain(arguments.work, arguments.output)
