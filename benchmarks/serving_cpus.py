"""Serving on a CPU against the engines made for it: ONNX Runtime, CTranslate2 and OpenVINO, in three precisions.

    pip install ctranslate2 openvino optimum-onnx[onnxruntime]      # into the Python of --peers, beside our program
    python benchmarks/serving_cpus.py --vocab swa.vocab --text swa.valid.txt --work DIR --peers PYTHON

An encoder of XLM-R base's shape with random weights embeds short (median 10 tokens), medium (as they are) and long
texts (512 tokens): all of them, sorted by length, with all cores; one by one; and one by one from 8 threads that share
one loaded model. Ours reads texts, the others get encoded batches of our own runtime. All take turns. The tables have
medians of the turns, and ratios within a turn to ours of the same precision. An engine that cannot do a job says why.
`--layers` makes a smaller encoder, `--texts` takes fewer texts, to try the program.
"""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import sentencepiece
from arguments import program_parser
from measure import run
from xlmr_base import CONFIG, random_tensors

from focus_plugin.checkpoint.release import write_release
from focus_plugin.vocabulary.readers import read_dictionary

HERE = Path(__file__).parent
SHORT, LONG = 10, 512
SYSTEMS = ("ours", "ONNX Runtime", "CTranslate2", "OpenVINO")
PRECISIONS = {"fp32": SYSTEMS, "bf16": ("OpenVINO", "CTranslate2"), "int8": SYSTEMS}
WAYS = ("sorted", "one by one", "clients")
KINDS = ("short", "medium", "long")
ALIKE = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.1}  # the largest 1 - cosine to ours in fp32

Figures = dict[str, float | str]


def make(arguments: Namespace, work: Path) -> None:
    """The models of all engines and the texts, in ``work``; what is there already is used again."""
    work.mkdir(parents=True, exist_ok=True)
    dictionary, tokenizer = arguments.vocab / "dict.txt", arguments.vocab / "sentencepiece.bpe.model"
    write_kinds(work, arguments.text, tokenizer, arguments.texts)
    encoder, config = work / "encoder", replace(CONFIG, layers=arguments.layers)
    if not encoder.exists():
        encoder.mkdir()
        tensors = random_tensors(len(read_dictionary(dictionary)), 0.05, config)
        write_release(encoder, config, tensors, dictionary, tokenizer)
    onnx = ("focus", "export", "--onnx", "--model", encoder)
    run(*onnx, "--output", work / "fp32")
    run(*onnx, "--precision", "int8", "--max-loss", 1, "--valid", work / "medium.txt", "--output", work / "int8")
    run("focus", "export", "--hf", "--model", encoder, "--output", work / "hf")
    if not (work / "optimum" / "int8").exists():
        subprocess.run([arguments.peers, HERE / "serving_systems.py", "export", work], check=True)
    if not (work / "ctranslate2").exists():
        converter = "from ctranslate2.converters import TransformersConverter as Converter; import sys"
        code = f"{converter}; Converter(sys.argv[1]).convert(sys.argv[2])"
        subprocess.run([arguments.peers, "-c", code, work / "hf", work / "ctranslate2"], check=True)


def write_kinds(work: Path, text: Path, tokenizer: Path, count: int) -> None:
    """The texts of each kind: the first ``count`` lines, their beginnings, and lines joined to LONG tokens."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    lines = [line for line in text.read_text(encoding="utf-8").split("\n") if line][: 20 * count]
    encoded = processor.encode(lines)
    pieces = [piece for row in encoded for piece in row]
    sizes = np.clip(np.random.default_rng(1).poisson(SHORT - 2, count), 1, None)
    short = [row[:size] for row, size in zip(encoded, sizes, strict=False)]
    long = [pieces[start : start + LONG] for start in range(0, LONG * max(1, count // 25), LONG)]
    for kind, rows in zip(KINDS, (short, encoded[:count], long), strict=True):
        texts = [fitting(processor, row) for row in rows]
        ids = [[0, *(i + 1 for i in row), 2] for row in processor.encode(texts)]  # as fairseq numbers the pieces
        (work / f"{kind}.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        (work / f"{kind}.json").write_text(json.dumps(ids), encoding="utf-8")


def fitting(processor: sentencepiece.SentencePieceProcessor, pieces: Sequence[int]) -> str:
    """The text of the first ``pieces``, of at most LONG tokens with ``<s>`` and ``</s>`` when it is encoded again."""
    text: str = processor.decode(pieces)
    while (excess := len(processor.encode(text)) + 2 - LONG) > 0:
        pieces = pieces[:-excess]
        text = processor.decode(pieces)
    return text


class Worker:
    """A process that keeps its models; one for each engine, so that their threads do not disturb each other."""

    def __init__(self, python: str, work: Path) -> None:
        words: list[str | Path] = [python, HERE / "serving_engines.py", work]
        self._process = subprocess.Popen(words, stdin=-1, stdout=-1, text=True, bufsize=1)

    def answer(self, *job: str) -> Figures:
        """The figures of a job."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{job} failed")
        print(*job, line.strip(), file=sys.stderr, flush=True)
        found: Figures = json.loads(line)
        return found


def table(precision: str, way: str, turns: Mapping[tuple[str, ...], list[Figures]]) -> str:
    """One row for each engine and one column for each kind of texts."""
    rows, faults = [f"| {precision}, {way} | {' | '.join(KINDS)} |", f"|---|{'---:|' * len(KINDS)}"], {}
    for system in PRECISIONS[precision]:
        cells = []
        for kind in KINDS:
            found = turns[system, precision, kind, way]
            if "fault" in found[0]:
                cells.append("")
                faults[system] = f"{system}: {found[0]['fault']}"
                continue
            what = ("p50", "p99") if way == "one by one" else ("seconds",)
            values = " / ".join(_told(found, name) for name in what)
            mine = turns["ours", "fp32" if precision == "bf16" else precision, kind, way]
            pairs = zip(found, mine, strict=True)
            ratio = median(float(one[what[0]]) / float(other[what[0]]) for one, other in pairs)
            cells.append(f"{values} ({ratio:.2f})")
        rows.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join([*rows, *(f"\n{fault}" for fault in faults.values())])


def _told(found: list[Figures], name: str) -> str:
    middle = median(float(figures[name]) for figures in found)
    return f"{middle:.3g} s" if name == "seconds" else f"{1000 * middle:.3g} ms"


def main() -> None:
    """Make the models, measure and print Markdown."""
    parser = program_parser(__doc__, "vocab", "text", "work")
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--layers", type=int, default=CONFIG.layers)
    parser.add_argument("--texts", type=int, default=400)
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    make(arguments, work)
    workers = {system: Worker(sys.executable if system == "ours" else arguments.peers, work) for system in SYSTEMS}
    turns: dict[tuple[str, ...], list[Figures]] = {}
    for _ in range(arguments.turns + 1):  # in the first, models are loaded
        for precision, kind, way in product(PRECISIONS, KINDS, WAYS):
            for system in PRECISIONS[precision]:
                job = (system, precision, kind, way)
                turns.setdefault(job, []).append(workers[system].answer(*job))
    for (_, precision, *_), found in turns.items():
        if "fault" not in found[0] and float(found[0]["away"]) > ALIKE[precision]:
            raise SystemExit(f"The embeddings of {precision} differ: {found[0]}")
    later = {job: found[1:] for job, found in turns.items()}
    print("\n\n".join(table(precision, way, later) for precision, way in product(PRECISIONS, WAYS)))


if __name__ == "__main__":
    main()
