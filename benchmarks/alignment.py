"""What `--method transtokens` makes with each aligner, and how far the aligners agree.

    python benchmarks/alignment.py --text DIR --parallel PREFIX --source DIR --work DIR --languages en swa

`--text` has LANG.train.txt and LANG.valid.txt of the target, which is the second language; `--parallel` is the start
of the names of two files, PREFIX.en and PREFIX.swa. A program that is not installed is left out. eflomal runs twice,
because its random seed cannot be set. Prints Markdown: seconds of the whole conversion, tokens with a mixture, the
overlap of the weights with those of each other run (the sum of the smaller weights, mean over the tokens of the
training text), and the masked-LM loss before any training.
"""

import shutil
import time

import numpy as np
from arguments import program_parser
from steps import loss, prepared, run

from focus_plugin.mixing.matrix import MixingMatrix, load_matrix
from focus_plugin.vocabulary.counts import read_counts
from focus_plugin.vocabulary.readers import read_dictionary

RUNS = {"model1": "model1", "fast_align": "fast_align", "eflomal": "eflomal", "eflomal again": "eflomal"}


def overlap(one: MixingMatrix, two: MixingMatrix, uses: np.ndarray) -> float:
    """The mean over the tokens of a text of the sum of the smaller weights; ``uses``: how often each token occurs."""
    mixed = (np.diff(one.weights.indptr) > 0) | (np.diff(two.weights.indptr) > 0)
    shared = np.asarray(one.weights.minimum(two.weights).sum(1)).ravel()
    return float(np.average(shared[mixed], weights=uses[mixed]))


def main() -> None:
    """Convert by every aligner, and compare."""
    parser = program_parser(__doc__, "text", "parallel", "source", "work")
    parser.add_argument("--languages", nargs=2, required=True)
    arguments = parser.parse_args()
    work, (old, new) = arguments.work, arguments.languages
    train = prepared(arguments.text, new, work)
    given = ("--source", arguments.source, "--vocab", work / "vocab", "--corpus", train, "--method", "transtokens")
    files = ("--parallel-source", f"{arguments.parallel}.{old}", "--parallel-target", f"{arguments.parallel}.{new}")
    seconds, matrices, losses = {}, {}, {}
    for name, aligner in RUNS.items():
        if aligner == "fast_align" and shutil.which(aligner) is None:
            continue
        output, start = work / name.replace(" ", "."), time.perf_counter()
        run("focus", "convert", *given, *files, "--aligner", aligner, "--output", output)
        seconds[name] = time.perf_counter() - start
        matrices[name] = load_matrix(output / "mixing.safetensors")
        losses[name] = loss(work / "data", output)
    vocabulary = read_dictionary(work / "vocab" / "dict.txt")
    uses = read_counts(work / "vocab" / "dict.txt", vocabulary)
    print(f"| aligner | seconds | mixed tokens | {' | '.join(f'with {name}' for name in matrices)} | loss |")
    print(f"|---|{'---:|' * (len(matrices) + 3)}")
    for name, matrix in matrices.items():
        shared = (f"{overlap(matrix, other, uses):.2f}" for other in matrices.values())
        mixed = np.count_nonzero(np.diff(matrix.weights.indptr))
        print(f"| {name} | {seconds[name]:.0f} | {mixed:,} | {' | '.join(shared)} | {losses[name]:.3f} |")


if __name__ == "__main__":
    main()
