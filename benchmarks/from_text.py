"""From raw text to a converted encoder: vocabulary, vectors and conversion, beside the authors' package.

    python benchmarks/from_text.py --text sw.train.txt --source DIR --work DIR --megabytes 100 1000 --authors 100

Makes texts of these sizes from the lines of `--text`, numbered. Ours is `focus vocab` (16,000 tokens) and `focus
convert` with their defaults. The authors' package, which trains no vocabulary, is given ours; it encodes the text,
trains fastText on all of it and makes the embedding, with its defaults and `--processes`, for the sizes in `--authors`.
Prints Markdown: seconds and peak memory.
"""

import os
import shutil

from arguments import program_parser
from corpus_memory import write_corpus
from measure import run
from steps import VOCABULARY
from vectors import authors, in_a_process


def main() -> None:
    """Measure."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--megabytes", type=int, nargs="+", required=True)
    parser.add_argument("--authors", type=int, nargs="*", default=[])
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    print("| MB | | seconds | GB |\n|---:|---|---:|---:|")
    for megabytes in arguments.megabytes:
        work = arguments.work / str(megabytes)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        os.environ["FOCUS_CACHE"] = str(work / "cache")
        text, vocabulary = work / "text.txt", work / "vocab"
        write_corpus(arguments.text, text, megabytes * 1_000_000)

        def tell(what: str, measured: tuple[float, int], megabytes: int = megabytes) -> None:
            print(f"| {megabytes} | {what} | {measured[0]:.0f} | {measured[1] / 1e9:.2f} |", flush=True)

        tell("`focus vocab`", run("focus", "vocab", "--input", text, "--size", VOCABULARY, "--output", vocabulary))
        files = ("--source", arguments.source, "--vocab", vocabulary, "--corpus", text)
        tell("`focus convert`", run("focus", "convert", *files, "--output", work / "focus"))
        if megabytes in arguments.authors:
            given = (arguments.source, vocabulary, text, work / "authors", arguments.processes)
            tell("the authors' package", in_a_process(authors, *given))


if __name__ == "__main__":
    main()
