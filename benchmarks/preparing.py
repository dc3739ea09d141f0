"""`focus prepare` against SentencePiece alone, in turns in one run, and its memory by the size of the text.

    python benchmarks/preparing.py --text sw.train.txt --vocab sw.vocab --work DIR --megabytes 50 500 --turns 3

Makes texts of these sizes by repeating `--text`, each line numbered. Alone: a process reads the lines of the text and
lets SentencePiece encode them on all cores, to ids that it throws away. Prints for each size the medians of the seconds
of both, the ratio of the rates, and the peak memory of ours.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from arguments import program_parser
from corpus_memory import write_corpus
from measure import run

ALONE = """
import itertools, sys, sentencepiece
processor = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
with open(sys.argv[2], encoding="utf-8") as lines:
    while batch := list(itertools.islice(lines, 20_000)):
        processor.encode(batch, num_threads=-1)
"""


def alone(vocabulary: Path, text: Path) -> float:
    """Seconds of SentencePiece."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", ALONE, vocabulary / "sentencepiece.bpe.model", text], check=True)
    return time.perf_counter() - start


def ours(vocabulary: Path, text: Path, valid: Path, output: Path) -> tuple[float, int]:
    """Seconds and peak memory of the whole command."""
    shutil.rmtree(output, ignore_errors=True)
    words = ("--vocab", vocabulary, "--train", text, "--valid", valid, "--output", output)
    return run("focus", "prepare", *words, "--quiet")


def main() -> None:
    """Measure."""
    parser = program_parser(__doc__, "text", "vocab", "work")
    parser.add_argument("--megabytes", type=int, nargs="+", required=True)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for megabytes in arguments.megabytes:
        text, valid = arguments.work / f"{megabytes}.txt", arguments.work / "valid.txt"
        write_corpus(arguments.text, text, megabytes * 1_000_000)
        write_corpus(arguments.text, valid, 1_000_000)
        turns = [
            (alone(arguments.vocab, text), *ours(arguments.vocab, text, valid, arguments.work / "data"))
            for _ in range(arguments.turns)
        ]
        first, second, peaks = zip(*turns, strict=True)
        rate = median(theirs / ours for theirs, ours, _ in turns)
        print(
            f"{megabytes} MB: SentencePiece alone {median(first):.1f} s, focus prepare {median(second):.1f} s,", end=" "
        )
        print(f"{rate:.0%} of its rate, peak {max(peaks) / 1e6:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
