"""The section "Recipe and start" of docs/results.md: losses after equal training, by `focus compare`.

    python benchmarks/recipes.py --text DIR --source DIR --work DIR --languages swa xho --updates 50 150 400

`--text` has LANG.train.txt and LANG.valid.txt. The baseline is the start of the authors' package (`--paper`) under the
recipe `plain` with the best of several learning rates for each number of updates, chosen with the first random seed.
Under the recipe `adapt`, the starts are that one, the default, and the rows learned through the model. What is in
`--work` already is used again. Prints Markdown.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from arguments import program_parser
from steps import LENGTH, VOCABULARY, encode, run

BATCH = 4096
BASELINE_RATES = ("5e-4", "1e-3", "2e-3", "4e-3")
STARTS = {"paper": "--paper", "focus": "", "newrows": "--method newrows --train-overlap"}


@dataclass(frozen=True)
class Trainings:
    """Trainings that are compared with each other.

    text, valid: files of the target language. source: an encoder. work: directory of the language. batch: tokens of an
    update. vocabulary: its size.
    """

    text: Path
    valid: Path
    source: Path
    work: Path
    updates: int
    batch: int = BATCH
    vocabulary: int = VOCABULARY

    def run(self, starts: dict[str, str], recipes: dict[str, str], seeds: list[int]) -> list[dict]:
        """Run what has not been run yet; the rows of everything. ``starts``, ``recipes``: their options by name."""
        data, output = encode(self.text, self.valid, self.work, self.vocabulary), self.work / f"compare.{self.updates}"
        batch = f"--batch-tokens {self.batch} --device-tokens {self.batch}"
        pairs = [part for name, how in starts.items() for part in ("--start", name, f"--corpus {self.text} {how}")]
        pairs += [part for name, how in recipes.items() for part in ("--recipe", name, f"{batch} {how}")]
        given = ("--source", self.source, "--updates", self.updates, "--tokens-per-sample", LENGTH)
        seeded = ("--seeds", ",".join(map(str, seeds)), "--cpu", "--output", output)
        run("focus", "compare", data, *given, *pairs, *seeded)
        return [json.loads(line) for line in (output / "rows.jsonl").read_text(encoding="utf-8").splitlines()]


def trainings(arguments: argparse.Namespace, language: str, updates: int, batch: int = BATCH) -> Trainings:
    """Those of one language and one number of updates."""
    text, valid = (arguments.text / f"{language}.{part}.txt" for part in ("train", "valid"))
    return Trainings(text, valid, arguments.source, arguments.work / language, updates, batch)


def losses(rows: list[dict], start: str, recipe: str) -> list[float]:
    """The loss after training of each random seed."""
    return [row["loss"] for row in rows if (row["start"], row["recipe"]) == (start, recipe)]


def compared(arguments: argparse.Namespace, language: str, updates: int) -> list[dict]:
    """All runs of one language and one number of updates."""
    compare = trainings(arguments, language, updates).run
    paper = {"paper": STARTS["paper"]}
    plain = {f"plain-{rate}": f"--recipe plain --lr {rate}" for rate in arguments.rates}
    rows = compare(paper, plain, arguments.seeds[:1])
    best = min(plain, key=lambda name: losses(rows, "paper", name)[0])
    compare(paper, {best: plain[best]}, arguments.seeds)
    return compare({name: STARTS[name] for name in arguments.starts}, {"adapt": ""}, arguments.seeds)


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
