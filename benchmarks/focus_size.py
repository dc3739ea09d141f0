"""FOCUS at the size of XLM-R base, in memory: ours, the bare matrix product, and the authors' package, in one run.

    python benchmarks/focus_size.py --dictionary vocab/dict.txt --vectors vectors.safetensors --slice 300
    python benchmarks/focus_size.py --curve docs/cost.svg

The source has 250,002 x 768 random values. Of the target's tokens in `--dictionary`, 50,000 with a vector are taken,
the 18,145 most frequent of them as overlap; a second case makes all vectors nearly equal, so that mixtures have
thousands of tokens. Ours goes from vocabularies, vectors and source matrix to the target matrix. The bare product is
that of the normalized vectors, new by overlapping, in the same blocks of rows. The authors' package (deepfocus) mixes
`--slice` of the new tokens, scaled to all of them. Ours and the product take turns; medians are compared.

`--curve` measures ours alone for growing vocabularies, with made-up vectors, and draws the figure.
"""

import argparse
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import torch

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.methods.focus import BLOCK, focus
from focus_plugin.methods.origins import counts
from focus_plugin.transfer import Transfer, apply_mixing
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, PAD, UNKNOWN, Vocabulary

SOURCE, WIDTH, TARGET, OVERLAP = 250_002, 768, 50_000, 18_145
TURNS = 3


def vocabulary(tokens: list[str], size: int) -> Vocabulary:
    """XLM-R's special tokens, ``tokens``, and as many others as make ``size``."""
    others = [f"other{i}" for i in range(size - 5 - len(tokens))]
    return Vocabulary.of([BEGIN, PAD, END, UNKNOWN, *tokens, *others, MASK])


def source_tensors(size: int) -> dict[str, torch.Tensor]:
    """Random rows of XLM-R base's width, tied, and a bias."""
    matrix = torch.randn(size, WIDTH, generator=torch.Generator().manual_seed(1)) * 0.1
    return {EMBEDDING: matrix, OUTPUT_EMBEDDING: matrix, OUTPUT_BIAS: torch.zeros(size)}


def resident() -> int:
    """The resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """A list that holds, after the block, the largest resident memory during it beyond that before, in bytes."""
    done, found, before = threading.Event(), [0], resident()

    def watch() -> None:
        while not done.wait(0.005):
            found[0] = max(found[0], resident() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def seconds(work: Callable[[], object]) -> float:
    """How long ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ours(source: Vocabulary, target: Vocabulary, vectors: np.ndarray, tensors: dict[str, torch.Tensor]) -> Transfer:
    """The whole of it: overlap, mixing matrix, target matrix."""
    return apply_mixing(tensors, focus(source, target, TokenVectors.of(vectors)), seed=1)


def product(new: np.ndarray, anchors: np.ndarray) -> None:
    """The similarities alone."""
    rows = torch.nn.functional.normalize(torch.from_numpy(new), dim=1)
    basis = torch.nn.functional.normalize(torch.from_numpy(anchors), dim=1).T
    for block in torch.split(rows, BLOCK // basis.shape[1]):
        block @ basis


def authors(new: np.ndarray, anchors: np.ndarray, rows: torch.Tensor) -> None:
    """The mixing step of deepfocus."""
    from deepfocus.focus import focus_additional_token_initialization
    from deepfocus.vocab_helper import NewToken, OverlappingToken, TokenClass

    def token(i: int) -> TokenClass:
        return TokenClass(str(i), i, str(i), str(i), str(i), str(i), False)

    known = {str(i): OverlappingToken([], token(i), rows[i], vector) for i, vector in enumerate(anchors)}
    unknown = {str(i): NewToken(token(i), vector) for i, vector in enumerate(new)}
    focus_additional_token_initialization(known, unknown, torch.zeros(len(new), rows.shape[1]), device="cpu")


def compare(name: str, vectors: np.ndarray, source: Vocabulary, target: Vocabulary, part: int) -> None:
    """Print what one case takes."""
    tensors = source_tensors(len(source))
    anchors, new = vectors[4 : 4 + OVERLAP], vectors[4 + OVERLAP : -1]
    bare, whole, extra = [], [], 0
    output = len(target) * WIDTH * 4
    for _ in range(TURNS):
        bare.append(seconds(lambda: product(new, anchors)))
        with peak_memory() as peak:
            start = time.perf_counter()
            done = ours(source, target, vectors, tensors)
            whole.append(time.perf_counter() - start)
        extra = max(extra, peak[0] - output)
        found = counts(done.origins)
        del done
    authors(new[:2], anchors, tensors[EMBEDDING])  # numba compiles
    theirs = seconds(lambda: authors(new[:part], anchors, tensors[EMBEDDING])) * len(new) / part
    middle, product_time = median(whole), median(bare)
    print(f"{name}: {found['mixed']:,} mixtures of {found['mean_support']:.0f}, at most {found['largest_support']:,}")
    print(f"  bare product {product_time:.2f} s; ours {middle:.2f} s, {middle / product_time:.2f} x the product")
    print(
        f"  {extra / 1e6:.0f} MB beyond the output; deepfocus {theirs:.0f} s, {theirs / middle:.0f} x ours", flush=True
    )


def made_up(target: int, overlap: int) -> np.ndarray:
    """Vectors in clusters, with supports as real ones have them."""
    draw = np.random.default_rng(1)
    centres = draw.normal(size=(400, 300)).astype(np.float32)
    vectors = 0.9 * centres[draw.integers(400, size=target)] + draw.normal(size=(target, 300)).astype(np.float32)
    vectors[[0, 1, 2, 3, -1]] = 0
    return vectors


def curve(path: Path) -> None:
    """Time and memory for growing targets and sources; a third of the target overlaps. Writes the figure."""
    cases = [(SOURCE, target) for target in (8_000, 16_000, 32_000, 64_000, 128_000, 250_000)]
    cases += [(source, TARGET) for source in (50_000, 100_000, 500_000, 1_000_000)]
    print("| source | target | seconds | MB beyond the output | mean support |\n|---:|---:|---:|---:|---:|")
    measured = []
    for size, goal in cases:
        shared = [f"shared{i}" for i in range(min(goal, size) // 3)]
        source, target = (
            vocabulary(shared, size),
            vocabulary([*shared, *(f"t{i}" for i in range(goal))][: goal - 5], goal),
        )
        tensors, vectors = source_tensors(size), made_up(goal, len(shared))
        with peak_memory() as peak:
            start = time.perf_counter()
            done = ours(source, target, vectors, tensors)
            took = time.perf_counter() - start
        extra = (peak[0] - goal * WIDTH * 4) / 1e6
        print(
            f"| {size:,} | {goal:,} | {took:.1f} | {extra:.0f} | {counts(done.origins)['mean_support']:.0f} |",
            flush=True,
        )
        measured.append((size, goal, took, extra))
    path.write_text(figure(measured), encoding="utf-8")


def figure(measured: list[tuple[int, int, float, float]]) -> str:
    """Four small plots: seconds and memory, by target and by source."""
    by_target = [row for row in measured if row[0] == SOURCE]
    by_source = [row for row in measured if row[1] == TARGET]
    plots = [
        ("seconds by target vocabulary", [(row[1], row[2]) for row in by_target]),
        ("seconds by source vocabulary", [(row[0], row[2]) for row in by_source]),
        ("MB by target vocabulary", [(row[1], row[3]) for row in by_target]),
        ("MB by source vocabulary", [(row[0], row[3]) for row in by_source]),
    ]
    parts = [plot(title, points, 320 * (i % 2), 200 * (i // 2)) for i, (title, points) in enumerate(plots)]
    style = "font-family='sans-serif' font-size='11' fill='#444'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 400' {style}>{''.join(parts)}</svg>\n"


def plot(title: str, points: list[tuple[int, float]], left: int, top: int) -> str:
    """One plot of 240 x 120, both axes from 0."""
    right, most = max(x for x, _ in points), max(y for _, y in points) or 1
    places = [(left + 60 + 240 * x / right, top + 150 - 120 * y / most, x, y) for x, y in points]
    line = " ".join(f"{x:.0f},{y:.0f}" for x, y, _, _ in places)
    marks = "".join(f"<circle cx='{x:.0f}' cy='{y:.0f}' r='3'/>" for x, y, _, _ in places)
    ends = (
        f"<text x='{left + 55}' y='{top + 34}' text-anchor='end'>{most:,.0f}</text>"
        f"<text x='{left + 55}' y='{top + 153}' text-anchor='end'>0</text>"
        f"<text x='{left + 300}' y='{top + 166}' text-anchor='end'>{right:,}</text>"
    )
    axes = f"<path d='M{left + 60} {top + 30}V{top + 150}H{left + 300}' fill='none' stroke='#888'/>"
    drawn = f"<polyline points='{line}' fill='none' stroke='#2a6fb0' stroke-width='2'/>{marks}"
    return f"<text x='{left + 60}' y='{top + 18}' font-weight='bold'>{title}</text>{axes}{ends}{drawn}"


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dictionary", type=Path)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--slice", type=int, default=300)
    parser.add_argument("--curve", type=Path)
    arguments = parser.parse_args()
    if arguments.curve:
        curve(arguments.curve)
        return
    held = read_dictionary(arguments.dictionary)
    trained = load_vectors(arguments.vectors, held)
    known = np.flatnonzero(trained.vectors.any(axis=1) & ~trained.rare & ~held.special)[:TARGET]
    tokens = [held.tokens[i] for i in known]
    target, source = vocabulary(tokens, len(tokens) + 5), vocabulary(tokens[:OVERLAP], SOURCE)
    none = np.zeros((1, trained.vectors.shape[1]), np.float32)
    vectors = np.concatenate([none.repeat(4, 0), trained.vectors[known], none])
    compare("real text", vectors, source, target, arguments.slice)
    flat = 1 + 0.1 * np.random.default_rng(1).normal(size=vectors.shape).astype(np.float32)
    flat[[0, 1, 2, 3, -1]] = 0
    compare("flat space", flat, source, target, max(arguments.slice // 10, 1))


if __name__ == "__main__":
    main()
