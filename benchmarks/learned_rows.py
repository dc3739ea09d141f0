"""The section "Rows learned through the model" of docs/results.md: losses before any training, and what they cost.

    python benchmarks/learned_rows.py --text DIR --source DIR --work DIR --languages swa xho amh --seed 1

`--text` has LANG.train.txt and LANG.valid.txt. Seconds are those of one CPU core that the whole command used, whatever
else the machine did. Auxiliary embeddings are in the cache after the first start, so they are not counted. What is in
`--work` already is used again, with the seconds that it took. Prints Markdown.
"""

import argparse
import json
import resource
import subprocess
import sys
import sysconfig

from arguments import program_parser
from printed import LOSS, figure

VOCABULARY, LENGTH, BATCH = 16_000, 128, 4096
BUDGET = 10 * BATCH  # tokens of ten updates
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


def run(*command: object) -> tuple[str, float]:
    """What a command of this environment prints, and its seconds of CPU time."""
    words = [str(word) for word in command]
    print("$", *words, file=sys.stderr, flush=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = f"{sysconfig.get_path('scripts')}/{words[0]}"
    said = subprocess.run([program, *words[1:]], stdout=subprocess.PIPE, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return said, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(arguments: argparse.Namespace, language: str, name: str) -> tuple[float, float]:
    """The loss of a start in nats, and the seconds that it took."""
    work = arguments.work / language
    kept = work / f"{name}.{arguments.seed}.json".replace(" ", "-")
    if not kept.exists():
        train, valid = (arguments.text / f"{language}.{part}.txt" for part in ("train", "valid"))
        run("focus", "vocab", "--input", train, "--size", VOCABULARY, "--output", work / "vocab")
        texts = ("--train", train, "--valid", valid)
        run("focus", "prepare", "--vocab", work / "vocab", *texts, "--output", work / "data")
        given = ("--source", arguments.source, "--vocab", work / "vocab", "--corpus", train)
        seed = () if name == "paper" else ("--seed", arguments.seed)  # the authors' is always 42
        start = kept.with_suffix("")
        _, seconds = run("focus", "convert", *given, *STARTS[name], *seed, "--output", start)
        said, _ = run("focus", "evaluate", work / "data", "--model", start, "--tokens-per-sample", LENGTH)
        kept.write_text(json.dumps([float(figure(LOSS, said)), seconds]))
    loss, seconds = json.loads(kept.read_text())
    return loss, seconds


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
            loss, seconds = measured(arguments, language, name)
            print(f"| {language} | `{name}` | {loss:.3f} | {loss / paper - 1:+.1%} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
