"""The section "Rows learned through the model" of docs/results.md: losses before any training, and what they cost.

    python benchmarks/learned_rows.py --text DIR --source DIR --work DIR --languages swa xho amh --seed 1

`--text` has LANG.train.txt and LANG.valid.txt. Seconds are those of one CPU core that the whole command used, whatever
else the machine did. Auxiliary embeddings are in the cache after the first start, so they are not counted. What is in
`--work` already is used again, with the seconds that it took. Prints Markdown.
"""

import argparse
import json
import resource

from arguments import program_parser
from steps import loss, prepared, run

BUDGET = 10 * 4096  # tokens of ten updates
LEARNED = ("--train-overlap", "--budget", BUDGET)
STARTS: dict[str, tuple[object, ...]] = {
    "paper": ("--paper",),
    "random": ("--method", "random"),
    "focus": (),
    "newrows": ("--method", "newrows", *LEARNED),
    "regression": ("--method", "regression", *LEARNED),
    "newrows from regression": ("--method", "newrows", "--start", "regression", *LEARNED),
    "distillation": ("--method", "distillation", *LEARNED),
}


def processor_seconds() -> float:
    """What the commands until now have used of a core."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(arguments: argparse.Namespace, language: str, name: str) -> tuple[float, float]:
    """The loss of a start in nats, and the seconds that it took."""
    work = arguments.work / language
    kept = work / f"{name}.{arguments.seed}.json".replace(" ", "-")
    if not kept.exists():
        train = prepared(arguments.text, language, work)
        given = ("--source", arguments.source, "--vocab", work / "vocab", "--corpus", train)
        seed = () if name == "paper" else ("--seed", arguments.seed)  # the authors' is always 42
        start = kept.with_suffix("")
        before = processor_seconds()
        run("focus", "convert", *given, *STARTS[name], *seed, "--output", start)
        seconds = processor_seconds() - before
        kept.write_text(json.dumps([loss(work / "data", start), seconds]))
    found, seconds = json.loads(kept.read_text())
    return found, seconds


def main() -> None:
    """Run everything and print the Markdown."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("| | start | loss | compared with `--paper` | seconds |")
    print("|---|---|---:|---:|---:|")
    for language in arguments.languages:
        paper, _ = measured(arguments, language, "paper")
        for name in arguments.starts:
            found, seconds = measured(arguments, language, name)
            print(f"| {language} | `{name}` | {found:.3f} | {found / paper - 1:+.1%} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
