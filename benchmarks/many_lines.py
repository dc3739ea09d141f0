"""Memory of ``focus predict`` for inputs of growing length, which should not grow with them, and the order of its rows.

    python benchmarks/many_lines.py --text sample.txt --work DIR --lines 100000 1000000 10000000

The model is an encoder of one layer of width 32 with random weights, so most of the time is spent on text and files.
An input is lines of `--text`, drawn at random. Every row of the output is compared with the embedding of its line,
which is computed for the lines of `--text` alone. Prints Markdown: seconds, lines per second, and peak memory.
"""

import random
from pathlib import Path

import numpy as np
from arguments import program_parser
from measure import run
from xlmr_base import random_tensors

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.release import write_release
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary

CONFIG = EncoderConfig(layers=1, width=32, feedforward=64, attention_heads=2, max_positions=128)
DIFFERENT = 5000  # lines of the text that are used
BLOCK = 100_000  # rows that are compared at once
TOLERANCE = 1e-4


def write_model(text: Path, work: Path) -> Path:
    """Export the encoder with a vocabulary of the text."""
    run("focus", "vocab", "--input", text, "--size", 2000, "--output", work / "vocab")
    dictionary, tokenizer = vocabulary_files(work / "vocab")
    (work / "encoder").mkdir(exist_ok=True)
    tensors = random_tensors(len(read_dictionary(dictionary)), config=CONFIG)
    write_release(work / "encoder", CONFIG, tensors, dictionary, tokenizer)
    run("focus", "export", "--onnx", "--model", work / "encoder", "--pooling", "mean", "--output", work / "model")
    return work / "model"


def write_lines(texts: list[str], numbers: np.ndarray, path: Path) -> None:
    """The texts with these numbers, one on each line."""
    with open(path, "w", encoding="utf-8") as file:
        for start in range(0, len(numbers), BLOCK):
            file.writelines(f"{texts[number]}\n" for number in numbers[start : start + BLOCK])


def largest_difference(rows: np.ndarray, expected: np.ndarray, numbers: np.ndarray) -> float:
    """Between the rows (lines, width) and those of ``expected`` with these numbers."""
    assert len(rows) == len(numbers), "a line has no row"
    blocks = range(0, len(numbers), BLOCK)
    return max(float(np.abs(rows[i : i + BLOCK] - expected[numbers[i : i + BLOCK]]).max()) for i in blocks)


def main() -> None:
    """Make the files and measure."""
    parser = program_parser(__doc__, "text", "work")
    parser.add_argument("--lines", type=int, nargs="+", required=True)
    arguments = parser.parse_args()
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    lines = arguments.text.read_text(encoding="utf-8").splitlines()
    texts = random.Random(1).sample(sorted({line for line in lines if line}), DIFFERENT)
    predict = ("predict", "--model", write_model(arguments.text, work), "--threads", 1, "--truncate")
    write_lines(texts, np.arange(DIFFERENT), work / "different.txt")
    run("focus", *predict, "--input", work / "different.txt", "--output", work / "different.npy")
    expected = np.load(work / "different.npy")
    print("| lines | size | seconds | lines per second | peak memory | largest difference |")
    print("|---:|---:|---:|---:|---:|---:|")
    for count in arguments.lines:
        source, output = work / "lines.txt", work / "lines.npy"
        numbers = np.random.default_rng(count).integers(DIFFERENT, size=count)
        write_lines(texts, numbers, source)
        seconds, peak = run("focus", *predict, "--input", source, "--output", output)
        difference = largest_difference(np.load(output, mmap_mode="r"), expected, numbers)
        assert difference < TOLERANCE, f"{count} lines: a row is not that of its line"
        figures = f"{seconds:.0f} | {count / seconds:,.0f} | {peak / 1e6:.0f} MB | {difference:.1e}"
        print(f"| {count:,} | {source.stat().st_size / 1e6:,.0f} MB | {figures} |", flush=True)
        output.unlink()


if __name__ == "__main__":
    main()
