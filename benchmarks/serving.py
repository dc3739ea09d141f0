r"""Serving, side by side with what a user would pick instead: optimum, fastembed, plain ONNX Runtime and PyTorch.

    focus vocab --input swa.train.txt --size 50000 --output swa.vocab
    python benchmarks/serving.py --vocab swa.vocab --text swa.valid.txt --classifier swa.topic --table test.tsv \
        --text-column headline --work DIR --peers PYTHON

An encoder of XLM-R base's shape with random weights over `--vocab` embeds the first 400 lines of `--text` and a batch
of 8 x 128 tokens. `--peers` is a Python with `optimum-onnx[onnxruntime]`, `fastembed` and ours' version of ONNX
Runtime; unless given, this one. First all systems have to give the same embeddings; then they take turns, and ratios
are medians of the ratios within a turn. What int8 loses is told by a trained `--classifier` on `--table`. What is in
`--work` already is used again. Prints Markdown.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import inf
from pathlib import Path
from statistics import median

import numpy as np
import sentencepiece
from arguments import program_parser
from measure import run
from serving_systems import LEVELS, PRODUCT_TOKENS
from xlmr_base import CONFIG, random_tensors

from focus_plugin.checkpoint.release import write_release
from focus_plugin.vocabulary.readers import read_dictionary

SYSTEMS = Path(__file__).with_name("serving_systems.py")
TEXT_LINES, ROWS, LENGTH = 400, 8, 128
TOLERANCE = 1e-4
IN_BATCHES = ("ours", "plain", *LEVELS, "PyTorch")
TEXTS = (
    "ours",
    "ours int8",
    "products",
    "optimum 32",
    "optimum 32 by length",
    "optimum int8",
    "fastembed 32",
    "fastembed 256",
)
FIRST = ("ours", "optimum", "fastembed", "plain")
OURS = ("ours", "ours int8", "products")
INEXACT = ("ours int8", "optimum int8", "O3")  # O3 approximates GELU
NAMES = {
    "ours": "ours",
    "ours int8": "ours in int8",
    "products": "the texts' matrix products alone",
    "plain": "ONNX Runtime on optimum's export",
    "O2": "... at optimum's level O2",
    "O3": "... at O3",
    "PyTorch": "PyTorch, transformers",
    "optimum": "optimum",
    "optimum 32": "optimum, 32 texts a batch",
    "optimum 32 by length": "... sorted by length",
    "optimum int8": "... in int8, in their order",
    "fastembed": "fastembed",
    "fastembed 32": "fastembed, 32 texts a batch",
    "fastembed 256": "... 256, its default",
}

Seconds = dict[str, list[float]]


def make(arguments: argparse.Namespace, work: Path) -> np.ndarray:
    """What ``serving_systems.py`` needs in ``work``, and the classifier in int8; the number of tokens of each text."""
    (work / "results").mkdir(parents=True, exist_ok=True)
    vocabulary, encoder = arguments.vocab, work / "encoder"
    dictionary, tokenizer = vocabulary / "dict.txt", vocabulary / "sentencepiece.bpe.model"
    tokens = len(read_dictionary(dictionary))
    if not encoder.exists():
        encoder.mkdir()
        write_release(encoder, CONFIG, random_tensors(tokens, 0.05), dictionary, tokenizer)
    texts = arguments.text.read_text(encoding="utf-8").split("\n")[:TEXT_LINES]
    (work / "texts.txt").write_text("".join(f"{line}\n" for line in texts), encoding="utf-8")
    write_batch(work, tokenizer)
    onnx, int8 = ("focus", "export", "--onnx"), ("--precision", "int8", "--max-loss", 1)
    run(*onnx, "--model", encoder, "--output", work / "fp32")
    run(*onnx, "--model", encoder, *int8, "--valid", work / "texts.txt", "--output", work / "int8")
    table = ("--valid", arguments.table, "--text-column", arguments.text_column)
    run(*onnx, "--model", arguments.classifier, *int8, *table, "--output", work / "classifier")
    run("focus", "export", "--hf", "--model", encoder, "--output", work / "hf")
    if not (work / "optimum").exists():
        subprocess.run([arguments.peers, SYSTEMS, "export", work], check=True)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer)).encode(texts)
    return np.array([len(line) + 2 for line in pieces])


def write_batch(work: Path, tokenizer: Path) -> None:
    """``batch.txt``, ROWS texts of words that are one token each, and ``batch.npy``, their ids (rows, length)."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    pieces = map(processor.id_to_piece, range(len(processor)))
    words = [i for i, piece in enumerate(pieces) if piece[:1] == "▁" and len(piece) > 4]
    draw = np.random.default_rng(1)
    texts: list[str] = []
    rows: list[list[int]] = []
    while len(rows) < ROWS:
        chosen = draw.choice(words, LENGTH - 2).tolist()
        if processor.encode(text := processor.decode(chosen)) == chosen:
            texts.append(f"{text}\n")
            rows.append([0, *(i + 1 for i in chosen), 2])  # fairseq has one more special token before the pieces
    (work / "batch.txt").write_text("".join(texts), encoding="utf-8")
    np.save(work / "batch.npy", np.array(rows))


def needed(lengths: np.ndarray, products: list[float]) -> list[float]:
    """The seconds that the matrix products of texts of ``lengths`` tokens take at the rates of ``products``.

    Counted are the weights' products and, of attention, those of queries with keys and of scores with values.
    """
    weights = 4 * CONFIG.width**2 + 2 * CONFIG.width * CONFIG.feedforward
    attention = 2 * CONFIG.width * (lengths.astype(float) ** 2).sum()
    share = (weights * lengths.sum() + attention) / (weights * PRODUCT_TOKENS)
    return [seconds * float(share) for seconds in products]


def worker(python: str, systems: Path, work: Path) -> Callable[[str], float]:
    """A process of the program ``systems`` that keeps its models; the function gives the seconds that a job took."""
    process = subprocess.Popen([python, systems, "serve", work], stdin=-1, stdout=-1, text=True, bufsize=1)
    assert process.stdin
    assert process.stdout
    questions, answers = process.stdin, process.stdout

    def seconds(job: str) -> float:
        """Let the process do a job once."""
        print(f"{job} ...", end=" ", file=sys.stderr, flush=True)
        questions.write(f"{job}\n")
        answer = answers.readline()
        if not answer:
            raise SystemExit(f"{job} failed")
        print(f"{float(answer):.2f} s", file=sys.stderr, flush=True)
        return float(answer)

    return seconds


def first_seconds(python: str, system: str, work: Path) -> float:
    """From the start of a process to its first embedding."""
    start = time.perf_counter()
    with subprocess.Popen([python, SYSTEMS, "first", system, work], stdout=subprocess.PIPE) as process:
        assert process.stdout
        if not process.stdout.readline():
            raise SystemExit(f"{system} failed")
        seconds = time.perf_counter() - start
    print(f"first embedding, {system} ... {seconds:.2f} s", file=sys.stderr, flush=True)
    return seconds


def in_turns(jobs: Mapping[str, Callable[[], float]], turns: int) -> Seconds:
    """The seconds of every job, once a turn, there and back."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(turns):
        for name in list(jobs)[:: -1 if turn % 2 else 1]:
            found[name].append(jobs[name]())
    return found


def ratio(one: list[float], other: list[float]) -> float:
    """The median of the ratios within a turn."""
    return median(first / second for first, second in zip(one, other, strict=True))


def embeddings(work: Path, kind: str, name: str) -> np.ndarray:
    """What a system gave, hidden states averaged over the tokens, of which none are padding."""
    result = np.load(work / "results" / f"{kind}, {name}.npy")
    return result.mean(1) if result.ndim == 3 else result


def differences(work: Path) -> str:
    """How far each system's embeddings are from ours; stops the program if one does not do the same work."""
    rows = ["| embeddings against ours in fp32 | largest difference | least cosine |", "|---|---:|---:|"]
    for kind, names in (("batch", IN_BATCHES), ("texts", TEXTS)):
        ours = embeddings(work, kind, "ours")
        for name in names:
            if name in ("ours", "products"):
                continue
            theirs = embeddings(work, kind, name)
            largest = np.abs(theirs - ours).max()
            norms = np.linalg.norm(theirs, axis=1) * np.linalg.norm(ours, axis=1)
            cosine = ((theirs * ours).sum(1) / norms).min()
            if not largest <= TOLERANCE and name not in INEXACT:
                raise SystemExit(f"{kind}, {name}: embeddings differ from ours by {largest:.1e}")
            rows.append(f"| {kind}, {name} | {largest:.1e} | {cosine:.6f} |")
    return "\n".join(rows)


def table(title: str, kind: str, seconds: Seconds) -> str:
    """Medians, and how many times ours they are."""
    rows = [f"| {title} | seconds | of ours |", "|---|---:|---:|"]
    ours = seconds[f"{kind}, ours"]
    for job, found in seconds.items():
        if job.startswith(f"{kind}, "):
            rows.append(f"| {NAMES[job.removeprefix(f'{kind}, ')]} | {median(found):.3g} | {ratio(found, ours):.2f} |")
    return "\n".join(rows)


def targets(seconds: Seconds, loss: float) -> str:
    """What was aimed at, what was found, and whether that is enough."""
    peer = min(("texts, optimum 32", "texts, fastembed 32"), key=lambda job: median(seconds[job]))

    def found(one: str, other: str) -> float:
        return ratio(seconds[one], seconds[other])

    rows = ["| target | found | met |", "|---|---:|---|"]
    for aim, value, least, most in (
        ("8 x 128 tokens: plain ONNX Runtime / ours", found("batch, plain", "batch, ours"), 1.0, inf),
        ("the texts: the better of optimum and fastembed at 32 / ours", found(peer, "texts, ours"), 2.4, inf),
        ("the texts: ours / their matrix products", found("texts, ours", "texts, products"), 0, 1.15),
        ("the texts: ours / ours in int8", found("texts, ours", "texts, ours int8"), 2.3, inf),
        ("the classifier: loss of accuracy in int8", loss, -inf, 0.01),
        ("first embedding: ours / optimum", found("first, ours", "first, optimum"), 0, 1 / 3),
    ):
        bound = f"at least {least:.2f}" if most == inf else f"at most {most:.2f}"
        rows.append(f"| {aim}, {bound} | {value:.2f} | {'yes' if least <= value <= most else 'no'} |")
    return "\n".join(rows)


def main() -> None:
    """Make the files, compare the results and measure."""
    parser = program_parser(__doc__, "vocab", "text", "classifier", "table", "work")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    work, turns = arguments.work.resolve(), arguments.turns
    lengths = make(arguments, work)
    pythons = {True: sys.executable, False: arguments.peers}
    workers = {ours: worker(python, SYSTEMS, work) for ours, python in pythons.items()}

    def jobs(kind: str, names: Iterable[str]) -> dict[str, Callable[[], float]]:
        return {f"{kind}, {name}": partial(workers[name in OURS], f"{kind}, {name}") for name in names}

    batch, texts = jobs("batch", IN_BATCHES), jobs("texts", TEXTS)
    in_turns({**batch, **texts}, 1)  # loads the models and keeps the results
    print(differences(work), end="\n\n")
    seconds = in_turns(batch, 3 * turns) | in_turns(texts, turns)
    seconds["texts, products"] = needed(lengths, seconds["texts, products"])
    first = {f"first, {name}": partial(first_seconds, pythons[name in OURS], name, work) for name in FIRST}
    seconds |= in_turns(first, turns)
    titles = {
        "batch": f"{ROWS} x {LENGTH} tokens",
        "texts": f"{TEXT_LINES} texts, {lengths.sum():,} tokens",
        "first": "first embedding from the start of the process",
    }
    for kind, title in titles.items():
        print(table(title, kind, seconds), end="\n\n")
    judged = json.loads((work / "classifier" / "focus.json").read_text(encoding="utf-8"))["counts"]
    print(targets(seconds, judged["loss"]), f"Classifier, fp32 and int8: {judged['scores']}", sep="\n\n")


if __name__ == "__main__":
    main()
