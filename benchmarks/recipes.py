"""The section "Recipe and start" of docs/results.md: losses after equal training, by `focus compare`.

    python benchmarks/recipes.py --text DIR --source DIR --work DIR --languages swa xho --updates 50 150 400

`--text` has LANG.train.txt and LANG.valid.txt. The baseline is the start of the authors' package (`--paper`) under the
recipe `plain` with the best of several learning rates for each number of updates, chosen with the first random seed.
Under the recipe `adapt`, the starts are that one, the default, and the rows learned through the model. What is in
`--work` already is used again. Prints Markdown.
"""

import argparse
import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from statistics import mean, stdev

from arguments import program_parser

VOCABULARY, LENGTH, BATCH = 16_000, 128, 4096
BASELINE_RATES = ("5e-4", "1e-3", "2e-3", "4e-3")
STARTS = {"paper": "--paper", "focus": "", "newrows": "--method newrows --train-overlap"}


def run(*command: object) -> None:
    """Run a command of this environment."""
    words = [str(word) for word in command]
    print("$", *words, file=sys.stderr, flush=True)
    subprocess.run([f"{sysconfig.get_path('scripts')}/{words[0]}", *words[1:]], stdout=sys.stderr, check=True)


def finished(comparison: Path) -> list[dict]:
    """The rows of a comparison."""
    return [json.loads(line) for line in (comparison / "rows.jsonl").read_text(encoding="utf-8").splitlines()]


def losses(rows: list[dict], start: str, recipe: str) -> list[float]:
    """The loss after training of each random seed."""
    return [row["loss"] for row in rows if (row["start"], row["recipe"]) == (start, recipe)]


def compared(arguments: argparse.Namespace, language: str, updates: int) -> list[dict]:
    """All runs of one language and one number of updates."""
    work = arguments.work / language
    train, valid = (arguments.text / f"{language}.{part}.txt" for part in ("train", "valid"))
    if not (work / "data").exists():
        run("focus", "vocab", "--input", train, "--size", VOCABULARY, "--output", work / "vocab")
        texts = ("--train", train, "--valid", valid)
        run("focus", "prepare", "--vocab", work / "vocab", *texts, "--output", work / "data")
    output = work / f"compare.{updates}"
    given = ("--source", arguments.source, "--updates", updates, "--tokens-per-sample", LENGTH, "--output", output)
    batch = f"--batch-tokens {BATCH} --device-tokens {BATCH}"

    def compare(starts: dict[str, str], recipes: dict[str, str], seeds: list[int]) -> None:
        pairs = [word for name, options in starts.items() for word in ("--start", name, f"--corpus {train} {options}")]
        pairs += [word for name, options in recipes.items() for word in ("--recipe", name, f"{options} {batch}")]
        run("focus", "compare", work / "data", *given, *pairs, "--seeds", ",".join(map(str, seeds)), "--cpu")

    paper = {"paper": STARTS["paper"]}
    plain = {f"plain-{rate}": f"--recipe plain --lr {rate}" for rate in arguments.rates}
    compare(paper, plain, arguments.seeds[:1])
    best = min(plain, key=lambda name: losses(finished(output), "paper", name)[0])
    compare(paper, {best: plain[best]}, arguments.seeds)
    compare({name: STARTS[name] for name in arguments.starts}, {"adapt": ""}, arguments.seeds)
    return finished(output)


def main() -> None:
    """Run everything and print the Markdown."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--updates", nargs="+", type=int, default=[50, 150, 400])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--rates", nargs="+", default=BASELINE_RATES, help="learning rates of the baseline")
    arguments = parser.parse_args()
    print("| | updates | start | recipe | before | after, mean | deviation | seeds |")
    print("|---|---:|---|---|---:|---:|---:|---:|")
    for language in arguments.languages:
        for updates in arguments.updates:
            rows = compared(arguments, language, updates)
            pairs = dict.fromkeys((row["start"], row["recipe"]) for row in rows)
            for start, recipe in pairs:
                found = losses(rows, start, recipe)
                before = mean(row["before"] for row in rows if row["start"] == start)
                deviation = f"{stdev(found):.3f}" if len(found) > 1 else ""
                cells = (language, updates, start, recipe, f"{before:.3f}", f"{mean(found):.3f}", deviation, len(found))
                print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
