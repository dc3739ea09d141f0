"""Training side by side: ours, fairseq's own model, and transformers' Trainer, on one CPU.

    focus vocab --input swa.train.txt --size 12000 --output swa.vocab
    focus prepare --vocab swa.vocab --train swa.train.txt --valid swa.valid.txt --output swa.data
    python benchmarks/training.py --data swa.data

Masked LM with updates of 4,096 tokens, in full samples without padding, 15 % of the tokens predicted, no dropout. The
weights are in float32; products of matrices and most of what is between them are in bfloat16 (by autocast), or products
only (torch's matmul precision "medium"). transformers' Trainer needs the package accelerate. The systems take
turns; times are medians, ratios are those within one turn. The rate of the products is that of the feed-forward product
alone on this machine. Prints Markdown.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from arguments import program_parser
from training_systems import BATCH_TOKENS, PREDICTED, SHAPES, SYSTEMS

from focus_plugin.vocabulary.readers import read_dictionary

PROGRAM = Path(__file__).with_name("training_systems.py")


def measured(system: str, shape: str, length: int, given: argparse.Namespace) -> dict[str, float]:
    """Seconds of an update and bytes of memory."""
    words = [sys.executable, PROGRAM, system, shape, length, given.updates, given.data]
    done = subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout.splitlines()[-1])


def products(shape: str, length: int, rows: int, batch_tokens: int = BATCH_TOKENS) -> float:
    """Floating-point operations of an update's matrix products, forward and backward."""
    layers, width, inner, _ = SHAPES[shape]
    token = layers * (4 * width**2 + 2 * width * inner + 2 * length * width)
    head = PREDICTED * (width**2 + width * rows)
    return 3 * 2 * batch_tokens * (token + head)


def rate(shape: str) -> float:
    """Floating-point operations a second of the feed-forward product of ``shape``, of matrices in bfloat16."""
    _, width, inner, _ = SHAPES[shape]
    left, right = torch.randn(BATCH_TOKENS, width).bfloat16(), torch.randn(width, inner).bfloat16()
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - start)
    return 2 * BATCH_TOKENS * width * inner / min(seconds)


def main() -> None:
    """Measure and print."""
    parser = program_parser(__doc__, "data")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--updates", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    rows = len(read_dictionary(given.data / "dict.txt"))
    print("| model | length | system | s per update | divided by ours | of the products' rate | peak GB |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for shape in given.shapes:
        fastest = rate(shape)
        for length in given.lengths:
            turns = [{name: measured(name, shape, length, given) for name in SYSTEMS} for _ in range(given.turns)]
            for name in SYSTEMS:
                seconds = median(turn[name]["seconds"] for turn in turns)
                ratio = median(turn[name]["seconds"] / turn["ours"]["seconds"] for turn in turns)
                share = products(shape, length, rows) / seconds / fastest
                memory = max(turn[name]["memory"] for turn in turns) / 1e9
                print(
                    f"| {shape} | {length} | {name} | {seconds:.2f} | {ratio:.2f} | {share:.0%} | {memory:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
