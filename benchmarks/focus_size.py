"""FOCUS from memory to memory at the size of XLM-R: time, memory, and how both compare and grow.

    python benchmarks/focus_size.py --text sw.txt --work DIR
    python benchmarks/focus_size.py --curve docs --work DIR

The first has a source of 250,002 x 768 and a target of 50,000 text tokens with 300-dimensional vectors, of which the
18,145 most frequent overlap; once with vectors trained on `--text`, once with flat ones, whose cosines are all nearly
equal. Ours is all from vocabularies, vectors and source matrix to the target matrix, with what a conversion keeps of
it. The bare product is that of the new tokens' vectors with the anchors', in large blocks and in blocks of our size.
The authors' is `deepfocus.FOCUS`, given the vectors in memory: whole with the trained vectors; with the flat ones,
which would take hours, what `focus_additional_token_initialization` takes for `--slice` new tokens, scaled to all. Ours
and the product run in turns; times are medians of three. The second writes `growth.md` and `growth.svg`: time and
memory of ours by the sizes of target and source, with synthetic vectors whose supports are as on real text.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from arguments import program_parser
from deepfocus import FOCUS
from deepfocus.focus import focus_additional_token_initialization
from deepfocus.vocab_helper import NewToken, OverlappingToken, TokenClass
from measure import run, seconds
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.methods.focus import METHOD
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.similarity import SIMILARITIES_AT_ONCE
from focus_plugin.transfer.apply import Transfer, apply
from focus_plugin.transfer.origins import counts
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary

SOURCE, TARGET, OVERLAP, WIDTH, DIMENSION = 250_002, 50_000, 18_145, 768, 300
SHARE = OVERLAP / TARGET  # of the target's tokens that overlap, at any size
LARGE = 4096  # rows of a block of the bare product: 300 MB of similarities
TURNS = 3
FASTTEXT = ("--trainer", "fasttext", "--dim", 300, "--sample-mb", 0)
PAGE = 4096


@dataclass(frozen=True)
class Case:
    """What FOCUS has in memory before it starts."""

    source: Vocabulary
    target: Vocabulary
    auxiliary: TokenVectors
    tensors: dict[str, torch.Tensor]


def case(target: Vocabulary, auxiliary: TokenVectors, source_size: int, overlap: int) -> Case:
    """A source that holds the first ``overlap`` text tokens of the target, in another order."""
    text = [token for token, special in zip(target.tokens, target.special, strict=True) if not special]
    others = [f"source {i}" for i in range(source_size - len(SPECIALS) - overlap)]
    tokens = np.random.default_rng(1).permutation(np.array([*text[:overlap], *others], dtype=object))
    source = Vocabulary.of([*SPECIALS[:4], *tokens.tolist(), SPECIALS[4]])
    embedding = torch.randn(source_size, WIDTH, generator=torch.Generator().manual_seed(1)).mul_(0.1)  # about XLM-R's
    tensors = {EMBEDDING: embedding, OUTPUT_EMBEDDING: embedding, OUTPUT_BIAS: torch.zeros(source_size)}
    return Case(source, target, auxiliary, tensors)


def numbered(size: int) -> Vocabulary:
    """A target vocabulary of ``size`` text tokens."""
    return Vocabulary.of([*SPECIALS[:4], *(f"target {i}" for i in range(size)), SPECIALS[4]])


def flat(size: int) -> np.ndarray:
    """Vectors that hardly differ; supports are nearly the whole overlap."""
    return np.random.default_rng(2).normal(1, 2e-3, (size + len(SPECIALS), DIMENSION)).astype(np.float32)


def clustered(size: int) -> np.ndarray:
    """Vectors around a center for every 200 tokens: supports of about 40."""
    draw = np.random.default_rng(2)
    centers = draw.normal(size=(max(1, size // 200), DIMENSION)).astype(np.float32)
    vectors = draw.normal(size=(size + len(SPECIALS), DIMENSION)).astype(np.float32)
    vectors *= 0.9
    vectors += centers[draw.integers(len(centers), size=len(vectors))]
    return vectors


def trained(text: Path, work: Path) -> tuple[Vocabulary, np.ndarray]:
    """A vocabulary of TARGET text tokens, the most frequent first, and their vectors, both from ``text``."""
    work.mkdir(parents=True, exist_ok=True)
    run("focus", "vocab", "--input", text, "--size", TARGET + 3, "--sample-mb", 16, "--output", work / "vocab")
    vectors = work / "vectors.safetensors"
    if not vectors.exists():
        run("focus", "auxiliary", "--corpus", text, "--vocab", work / "vocab", *FASTTEXT, "--output", vectors)
    dictionary = work / "vocab" / "dict.txt"
    read = read_dictionary(dictionary)
    used = [int(line.rpartition(" ")[2]) for line in dictionary.read_text(encoding="utf-8").splitlines()]
    order = [0, 1, 2, 3, *(4 + np.argsort(-np.array(used), kind="stable")), len(read) - 1]
    return Vocabulary.of([read.tokens[i] for i in order]), load_vectors(vectors, read).vectors[order]


def ours(given: Case) -> Transfer:
    """The whole of the method, as a conversion calls it."""
    options = METHOD.options()
    made = METHOD.make(Given(source=given.source, target=given.target, vectors=given.auxiliary, options=options))
    return apply(given.tensors, made, seed=42)


def product(given: Case, rows: int) -> None:
    """The cosines of all new tokens and all anchors, ``rows`` at a time, each block thrown away."""
    new, anchors = sides(given)
    for start in range(0, len(new), rows):
        new[start : start + rows] @ anchors.T


def sides(given: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """The vectors of the new tokens and those of the anchors."""
    vectors, kept = torch.from_numpy(given.auxiliary.vectors), ~given.target.special
    shared = np.array([token in given.source.ids for token in given.target.tokens])
    return vectors[kept & ~shared], vectors[kept & shared]


def authors_whole(given: Case) -> tuple[float, np.ndarray]:
    """Seconds of the authors' package from tokenizers, vectors and source matrix in memory, and its rows."""
    vectors = dict(zip(given.target.tokens, given.auxiliary.vectors, strict=True))
    tokenizers = [library(vocabulary) for vocabulary in (given.target, given.source)]
    with patch("deepfocus.focus.load_target_token_embedding", lambda **_: vectors):
        start = time.perf_counter()
        rows = FOCUS(*tokenizers, given.tensors[EMBEDDING], fasttext_model_path="in memory", verbosity="silent")
        return time.perf_counter() - start, rows.numpy()


def library(vocabulary: Vocabulary) -> PreTrainedTokenizerFast:
    """A tokenizer of Hugging Face's library with this vocabulary."""
    unigram = Tokenizer(models.Unigram([(token, 0.0) for token in vocabulary.tokens], unk_id=3))
    unigram.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=unigram, unk_token=SPECIALS[3])


def authors_slice(given: Case, sizes: tuple[int, int]) -> tuple[float, np.ndarray]:
    """Seconds a new token of the authors' loop, from two numbers of them, and the rows of the second."""
    tokens, vectors, embedding = given.target.tokens, given.auxiliary.vectors, given.tensors[EMBEDDING]
    infos = [TokenClass(token, i, token, token, token, token, False) for i, token in enumerate(tokens)]
    text = [info for info, special in zip(infos, given.target.special, strict=True) if not special]
    anchors = {
        info.native_form: OverlappingToken([info], info, embedding[i], vectors[info.id])
        for info in text
        if (i := given.source.ids.get(info.native_form)) is not None
    }
    new = [info for info in text if info.native_form not in anchors]
    made, took = torch.zeros(len(tokens), WIDTH), []
    for count in (2, *sizes):  # in the first numba compiles
        chosen = {info.native_form: NewToken(info, vectors[info.id]) for info in new[:count]}
        took.append(seconds(partial(focus_additional_token_initialization, anchors, chosen, made, "cpu")))
    rows = made[[info.id for info in new[: sizes[1]]]].numpy()
    return (took[2] - took[1]) / (sizes[1] - sizes[0]), rows


def resident() -> int:
    """The memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@contextmanager
def peak() -> Iterator[Callable[[], int]]:
    """Sample the resident memory; afterwards the function yielded says by how much the peak exceeded the start."""
    start = resident()
    seen, done = [start], threading.Event()

    def sample() -> None:
        while not done.wait(0.005):
            seen.append(resident())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield lambda: max(seen) - start
    finally:
        seen.append(resident())
        done.set()
        sampler.join()


def extra_memory(given: Case) -> tuple[int, Transfer]:
    """Bytes that ours needs at its peak beyond its input and the target matrix, and what it made."""
    with peak() as above:
        made = ours(given)
    return above() - made.tensors[EMBEDDING].nbytes, made


def compare(name: str, given: Case, slice_size: int | None) -> None:
    """Measure and print one case; ``slice_size`` new tokens are enough for the authors' package, None is all."""
    extra, made = extra_memory(given)
    figures, rows = counts(made.origins), made.tensors[EMBEDDING].numpy()
    del made
    if slice_size:
        each, want = authors_slice(given, (slice_size // 4, slice_size))
        theirs = each * figures["mixed"]
        new = np.array([token not in given.source.ids for token in given.target.tokens])
        rows = rows[np.flatnonzero(new)[:slice_size]]
    else:
        theirs, want = authors_whole(given)
    difference = float(np.abs(rows - want).max(initial=0))
    block = max(1, SIMILARITIES_AT_ONCE // OVERLAP)
    works = {
        "ours": lambda: ours(given),
        f"product, {LARGE} rows at a time": lambda: product(given, LARGE),
        f"product, {block} rows at a time": lambda: product(given, block),
    }
    turns = [{what: seconds(work) for what, work in works.items()} for _ in range(TURNS)]
    times = {what: median(turn[what] for turn in turns) for what in works}
    print(f"{name}: {figures}")
    print(f"  ours {times['ours']:.2f} s, {extra / 1e6:.0f} MB beyond input and output")
    for what in list(works)[1:]:
        print(f"  {what}: {times[what]:.2f} s; ours {median(turn['ours'] / turn[what] for turn in turns):.2f} x")
    print(f"  authors {theirs:.0f} s{' by a slice' if slice_size else ''}; ours {theirs / times['ours']:.0f} x faster")
    print(f"  largest difference to the authors' rows {difference:.1e}", flush=True)


HEADING = (
    "# How time and memory of FOCUS grow",
    "",
    "Seconds and memory by the number of tokens of target and source, with synthetic vectors.",
    "`benchmarks/focus_size.py --curve docs` writes this page; [Results](results.md#cost) explains it.",
    "",
)


def curve(directory: Path) -> None:
    """Measure ours over the sizes of target and source, and write the table and the plot."""
    targets = {size: grown(size, SOURCE) for size in (8_000, 16_000, 32_000, 64_000, 128_000, 250_000)}
    sources = {size: grown(TARGET, size) for size in (50_000, 100_000, 250_000, 500_000, 1_000_000)}
    directory.mkdir(parents=True, exist_ok=True)
    lines = ["| target | source | mean support | seconds | MB beyond input and output |", "|---:|---:|---:|---:|---:|"]
    lines += [f"| {size:,} | {SOURCE:,} | {' | '.join(point.cells())} |" for size, point in targets.items()]
    lines += [f"| {TARGET:,} | {size:,} | {' | '.join(point.cells())} |" for size, point in sources.items()]
    (directory / "growth.md").write_text("\n".join([*HEADING, *lines]) + "\n", encoding="utf-8")
    (directory / "growth.svg").write_text(plot({"target": targets, "source": sources}), encoding="utf-8")


@dataclass(frozen=True)
class Point:
    """One size: what ours took."""

    support: float
    seconds: float
    extra: float

    def cells(self) -> tuple[str, str, str]:
        """As the table tells it."""
        return f"{self.support:.0f}", f"{self.seconds:.1f}", f"{self.extra / 1e6:.0f}"


def grown(target_size: int, source_size: int) -> Point:
    """Measure ours at one size."""
    overlap = round(min(target_size * SHARE, source_size / 2))
    vectors = TokenVectors.of(clustered(target_size))
    given = case(numbered(target_size), vectors, source_size, overlap)
    start = time.perf_counter()
    extra, made = extra_memory(given)
    took = time.perf_counter() - start
    point = Point(counts(made.origins)["mean_support"], took, max(extra, 0))
    print(target_size, source_size, *point.cells(), flush=True)
    return point


def plot(series: dict[str, dict[int, Point]]) -> str:
    """Seconds and memory by the size of each vocabulary: four panels, both axes from zero."""
    panels = []
    for row, (name, points) in enumerate(series.items()):
        panels.append(panel(0, row, f"seconds by {name} tokens", {x: y.seconds for x, y in points.items()}))
        panels.append(panel(1, row, f"MB extra by {name} tokens", {x: y.extra / 1e6 for x, y in points.items()}))
    style = "text{font:12px sans-serif;fill:#555}path{fill:none;stroke:#888}.line{stroke:#2a6fdb;stroke-width:2}"
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 480" role="img">'
    return "\n".join([head, "<title>Cost of FOCUS</title>", f"<style>{style}</style>", *panels, "</svg>"]) + "\n"


def panel(column: int, row: int, title: str, values: dict[int, float]) -> str:
    """One plot of 280 x 160 in its place."""
    left, top, right = 60 + 360 * column, 50 + 240 * row, max(values)
    highest = max(values.values()) or 1
    at = [(left + 280 * x / right, top + 160 * (1 - y / highest)) for x, y in values.items()]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#2a6fdb"/>' for x, y in at)
    return (
        f'<text x="{left}" y="{top - 16}">{title}</text><path d="M{left} {top}V{top + 160}H{left + 280}"/>'
        f'<text x="{left - 6}" y="{top + 4}" text-anchor="end">{highest:.3g}</text>'
        f'<text x="{left - 6}" y="{top + 164}" text-anchor="end">0</text>'
        f'<text x="{left + 280}" y="{top + 178}" text-anchor="end">{right:,}</text>'
        f'<path class="line" d="{line}"/>{dots}'
    )


def main() -> None:
    """Measure what was asked for."""
    parser = program_parser(__doc__)
    parser.add_argument("--text", type=Path, help="text to train the vectors on")
    parser.add_argument("--work", type=Path, help="where vocabulary and vectors are kept")
    parser.add_argument("--slice", type=int, default=40, help="new tokens for the authors' package")
    parser.add_argument("--curve", type=Path, help="directory to write growth.md and growth.svg into")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.text:
        target, vectors = trained(arguments.text, arguments.work)
        compare("trained", case(target, TokenVectors.of(vectors), SOURCE, OVERLAP), None)
        compare("flat", case(numbered(TARGET), TokenVectors.of(flat(TARGET)), SOURCE, OVERLAP), arguments.slice)
    if arguments.curve:
        curve(arguments.curve)


if __name__ == "__main__":
    main()
