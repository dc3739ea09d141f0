"""The table of docs/results.md on starts: masked-LM loss before and after equal short training, over seeds.

    python benchmarks/starts.py --text DIR --source DIR --work DIR --languages swa xho --seeds 1 2 3 --updates 100

`--text` has LANG.train.txt and LANG.valid.txt. The starts: overlap copied and the rest random; the authors' package
(`--paper`); FOCUS without rare tokens and calibration; each of these two alone; both, which is the default. Only the
authors' and the default are trained. What is in `--work` already is used again. Prints Markdown.
"""

import argparse
from pathlib import Path
from statistics import mean

from arguments import program_parser
from steps import LENGTH, RECIPE, loss, prepared, run

PLAIN = ("--rare", "fill", "--calibrate", 0)
STARTS: dict[str, tuple[object, ...]] = {
    "random": ("--method", "random", "--calibrate", 0),
    "paper": ("--paper",),
    "plain": PLAIN,
    "ngrams": ("--calibrate", 0),
    "calibrated": ("--rare", "fill"),
    "default": (),
}
TRAINED = ("paper", "default")


def losses(arguments: argparse.Namespace, language: str, seed: int) -> dict[str, float]:
    """The loss of every start, and after training (``START.trained``), in nats."""
    work = arguments.work / language
    train = prepared(arguments.text, language, work)
    found = {}
    for name, options in STARTS.items():
        start = work / f"{name}.{seed}"
        given = ("--source", arguments.source, "--vocab", work / "vocab", "--corpus", train)
        run("focus", "convert", *given, *options, "--seed", seed, "--output", start)
        found[name] = loss(work / "data", start)
        if name in TRAINED and arguments.updates:
            schedule = ("--updates", arguments.updates, "--lr", "5e-4", *RECIPE)
            job = ("focus", "train", work / "data", "--init", start, "--output", f"{start}.trained", *schedule)
            how = ("--seed", seed, "--validate-every", arguments.updates)
            run(*job, *how, "--", "--tokens-per-sample", LENGTH)
            found[f"{name}.trained"] = loss(work / "data", Path(f"{start}.trained"))
    return found


def main() -> None:
    """Run everything and print the Markdown."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--updates", type=int, default=100)
    arguments = parser.parse_args()
    found = {
        language: [losses(arguments, language, seed) for seed in arguments.seeds] for language in arguments.languages
    }
    print("| | " + " | ".join(f"{language}, mean | seeds" for language in found) + " |")
    print("|---|" + "---:|---:|" * len(found))
    for name in next(iter(found.values()))[0]:
        values = [[one[name] for one in runs] for runs in found.values()]
        cells = (f"{mean(column):.3f} | {' / '.join(f'{value:.3f}' for value in column)}" for column in values)
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
