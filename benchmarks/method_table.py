"""Every method for one language: its loss before and after equal short training, its seconds and its memory.

    python benchmarks/method_table.py --text DIR --source DIR --work DIR --language swa --seeds 1 2 3 --updates 50 400 \
        --english eng --parallel PREFIX --dictionary english-swahili.txt [METHOD ...]

`--text` has LANG.train.txt and LANG.valid.txt, also of `--english`; `--parallel` is the start of the names of two
files, PREFIX.en and PREFIX.LANG. Without `--english`, `--parallel` or `--dictionary`, the methods that need them are
left out. Word vectors are those of fastText for the training texts (skip-gram, 100 dimensions); the helper of clp and
omp is an encoder of two layers, 128 wide, which is trained from random weights on the training text for 400 updates.

Each method is converted without a fitted output bias, in a process of its own, which is measured; vectors that it
trains on the text are in its time, and word vectors and the helper are not. Then `focus compare` evaluates it with a
fitted bias and trains it with the default recipe, once for each number of `--updates`. What is in `--work` already is
used again, so methods can be run one by one. Prints Markdown: all methods of `--work` that are finished.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import fasttext
import measure
from arguments import program_parser
from factors import word_vectors
from random_encoder import write_random_encoder
from steps import LENGTH, RECIPE, loss, prepared, run, trained

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.files import whole_file, write_json

HELPER = EncoderConfig(layers=2, width=128, feedforward=512, attention_heads=2, max_positions=LENGTH)
HELPER_UPDATES = 2000


@dataclass(frozen=True)
class Start:
    """needs: what a user must have. options: makes what the method reads, and returns the options of focus convert."""

    needs: str
    options: Callable[[argparse.Namespace], tuple[object, ...]]


def helper(arguments: argparse.Namespace) -> tuple[object, ...]:
    """The options for a helper encoder, which is trained unless it is there."""
    output, started = arguments.work / "helper", time.perf_counter()
    if not output.exists():
        start = write_random_encoder(arguments.work / "helper.random", HELPER, arguments.work / "vocab", 1)
        trained(arguments.work / "data", start, output, HELPER_UPDATES)
        note(arguments.work / "helper.json", {"seconds": time.perf_counter() - started})
    return ("--auxiliary", output)


def words(arguments: argparse.Namespace) -> tuple[object, ...]:
    """The options for word vectors of English and of the target, and the dictionary."""
    models = []
    for language in (arguments.english, arguments.language):
        path = arguments.work / f"{language}.bin"
        if not path.exists():
            text = str(arguments.text / f"{language}.train.txt")
            model = fasttext.train_unsupervised(text, model="skipgram", dim=100, bucket=200_000, thread=1, verbose=0)
            with whole_file(path) as new:
                model.save_model(str(new))
        models.append(path)
    return ("--source-words", models[0], "--target-words", models[1], "--dictionary", arguments.dictionary)


def multilingual(arguments: argparse.Namespace) -> tuple[object, ...]:
    """The options for word vectors of both languages in one space."""
    texts = [arguments.text / f"{language}.train.txt" for language in (arguments.english, arguments.language)]
    return ("--multilingual-vectors", word_vectors(texts, arguments.work))


def parallel(arguments: argparse.Namespace) -> tuple[object, ...]:
    """The options for parallel text."""
    files = (f"{arguments.parallel}.en", f"{arguments.parallel}.{arguments.language}")
    return ("--parallel-source", files[0], "--parallel-target", files[1], "--aligner", "eflomal")


STARTS: Mapping[str, Start] = {
    "focus": Start("text", lambda _: ()),
    "focus-alpha-1-5": Start("text", lambda _: ("--alpha", 1.5)),
    "newrows": Start("text", lambda _: ()),
    "regression": Start("text", lambda _: ()),
    "distillation": Start("text", lambda _: ()),
    "clp": Start("helper", helper),
    "omp": Start("helper", helper),
    "ofa": Start("word vectors in one space", multilingual),
    "wechsel": Start("word vectors, dictionary", words),
    "transtokens": Start("parallel text", parallel),
    "pieces": Start("nothing", lambda _: ()),
    "pieces-norm": Start("nothing", lambda _: ("--norm", "source")),
    "scripts": Start("nothing", lambda _: ()),
    "random": Start("nothing", lambda _: ()),
}
MISSING = {"ofa": ("english",), "wechsel": ("english", "dictionary"), "transtokens": ("parallel",)}


def note(path: Path, figures: Mapping[str, object]) -> None:
    """Write figures, completely or not at all."""
    with whole_file(path) as new:
        write_json(new, figures)


def convert(arguments: argparse.Namespace, name: str) -> None:
    """Convert without a fitted bias, measured, and evaluate."""
    figures, output = arguments.work / f"{name}.json", arguments.work / "uncalibrated" / name
    if figures.exists():
        return
    options = STARTS[name].options(arguments)
    os.environ["FOCUS_CACHE"] = str(arguments.work / "cache" / name)
    train = arguments.text / f"{arguments.language}.train.txt"
    given = ("--source", arguments.source, "--vocab", arguments.work / "vocab", "--corpus", train, "--calibrate", 0)
    seconds, memory = measure.run(
        "focus", "convert", *given, "--method", name.partition("-")[0], *options, "--output", output
    )
    os.environ["FOCUS_CACHE"] = str(arguments.work / "cache" / "common")
    note(figures, {"seconds": seconds, "memory": memory, "loss": loss(arguments.work / "data", output)})


def compared(arguments: argparse.Namespace, updates: int) -> Path:
    """The directory of the trainings of a length."""
    return arguments.work / f"compare.{updates}"


def compare(arguments: argparse.Namespace, name: str, updates: int) -> None:
    """Train with a fitted bias, by every seed that is not done yet."""
    train = arguments.text / f"{arguments.language}.train.txt"
    options = ("--method", name.partition("-")[0], "--corpus", train, *STARTS[name].options(arguments))
    run(
        *("focus", "compare", arguments.work / "data", "--source", arguments.source),
        *("--output", compared(arguments, updates), "--start", name, " ".join(map(str, options))),
        *("--recipe", "adapt", " ".join(map(str, RECIPE)), "--updates", updates),
        *("--seeds", ",".join(map(str, arguments.seeds)), "--tokens-per-sample", LENGTH),
    )


def rows(arguments: argparse.Namespace, updates: int) -> dict[str, list[dict[str, Any]]]:
    """The finished trainings of a length by their method."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (compared(arguments, updates) / "rows.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["start"], []).append(row)
    return found


def table(arguments: argparse.Namespace) -> None:
    """Print the finished methods, the one with the lowest loss after the first number of updates first."""
    first, *more = (rows(arguments, updates) for updates in arguments.updates)
    trainings = [f"after {updates} updates" for updates in arguments.updates]
    print("|", " | ".join(["method", "needs", "seconds", "GB", "loss, bias moved", "bias fitted", *trainings]), "|")
    print(f"|---|---|{'---:|' * (4 + len(trainings))}")
    for name, found in sorted(first.items(), key=lambda entry: mean(row["loss"] for row in entry[1])):
        figures = json.loads((arguments.work / f"{name}.json").read_text(encoding="utf-8"))
        cells = [f"{figures['seconds']:.0f}", f"{figures['memory'] / 1e9:.1f}", f"{figures['loss']:.3f}"]
        cells += [spread([row["before"] for row in found])]
        cells += [spread([row["loss"] for row in other.get(name, ())]) for other in (first, *more)]
        print(f"| {name} | {STARTS[name].needs} | {' | '.join(cells)} |")
    if (path := arguments.work / "helper.json").exists():
        print(f"\nThe helper took {json.loads(path.read_text(encoding='utf-8'))['seconds']:.0f} s.")


def spread(losses: Sequence[float]) -> str:
    """The mean over the seeds, and their deviation if there are several."""
    if not losses:
        return ""
    return f"{mean(losses):.3f}" + (f" ± {stdev(losses):.3f}" if len(losses) > 1 else "")


def main() -> None:
    """Convert, evaluate and train the methods, and print the table."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--language", required=True)
    for name in ("english", "parallel", "dictionary"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--updates", nargs="+", type=int, default=[50])
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=", ".join(STARTS))
    arguments = parser.parse_args()
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    os.environ["FOCUS_CACHE"] = str(work / "cache" / "common")
    prepared(arguments.text, arguments.language, work)
    for name in arguments.methods or STARTS:
        if all(getattr(arguments, need) for need in MISSING.get(name, ())):
            convert(arguments, name)
            for updates in arguments.updates:
                compare(arguments, name, updates)
    table(arguments)


if __name__ == "__main__":
    main()
