"""Memory of the commands that read text, for corpora of growing size: it should not grow with them.

    python benchmarks/corpus_memory.py --text sw.train.txt --source DIR --work DIR --megabytes 256 2048

`--source` is an encoder to convert. Makes corpora of these sizes by repeating the text, each line numbered so that no
two are alike. Prints seconds and peak memory of every command and corpus.
"""

import os
from itertools import cycle
from pathlib import Path

from arguments import program_parser
from measure import run

SAMPLE_MB = 32


def write_corpus(text: Path, path: Path, size: int) -> None:
    """Lines of ``text`` over and over until ``path`` has ``size`` bytes."""
    with open(text, encoding="utf-8") as file:
        lines = cycle(file.read().splitlines())
    with open(path, "w", encoding="utf-8") as corpus:
        written = number = 0
        while written < size:
            written += corpus.write(f"{number} {next(lines)}\n")
            number += 1


def main() -> None:
    """Make the corpora and measure."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--megabytes", type=int, nargs="+", required=True)
    arguments = parser.parse_args()
    for megabytes in arguments.megabytes:
        work = arguments.work / str(megabytes)
        work.mkdir(parents=True, exist_ok=True)
        corpus, vocabulary = work / "corpus.txt", work / "vocab"
        os.environ["FOCUS_CACHE"] = str(work / "cache")
        write_corpus(arguments.text, corpus, megabytes * 1_000_000)
        trained = ("--input", corpus, "--size", 16_000, "--sample-mb", SAMPLE_MB, "--output", vocabulary)
        files = ("--source", arguments.source, "--vocab", vocabulary, "--corpus", corpus)
        prepared = ("--vocab", vocabulary, "--train", corpus, "--valid", arguments.text, "--output", work / "data")
        for command in (("vocab", *trained), ("convert", *files, "--output", work / "focus"), ("prepare", *prepared)):
            seconds, peak = run("focus", *command)
            print(f"focus {command[0]}, {megabytes} MB: {seconds:.0f} s, peak {peak / 1e9:.2f} GB", flush=True)


if __name__ == "__main__":
    main()
