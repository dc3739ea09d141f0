"""The section "How often to read a small text" of docs/results.md: losses by passes and batches, by `focus compare`.

    python benchmarks/passes.py --text DIR --source DIR --work DIR --languages xho som --lines 4000 \
        --passes 5 10 20 40 --batches 1024 2048 4096

`--text` has LANG.train.txt and LANG.valid.txt. Only the first `--lines` lines of the training text are used, for the
vocabulary and the start, too. All trainings have the default recipe. What is in `--work` already is used again. Prints
Markdown: the loss on the validation text after each training.
"""

from itertools import islice
from statistics import mean

from arguments import program_parser
from recipes import Trainings, losses
from steps import VOCABULARY, counts, encode

START = {"focus": ""}


def main() -> None:
    """Run everything and print the Markdown."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--lines", type=int, default=4_000)
    parser.add_argument("--size", type=int, default=VOCABULARY // 2, help="of the vocabulary")
    parser.add_argument("--passes", nargs="+", type=int, default=[5, 10, 20, 40])
    parser.add_argument("--batches", nargs="+", type=int, default=[1024, 2048, 4096], help="tokens of an update")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    arguments = parser.parse_args()
    print("| | tokens of text | passes | updates | tokens of an update | before | after |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for language in arguments.languages:
        work = arguments.work / f"{language}.{arguments.lines}"
        work.mkdir(parents=True, exist_ok=True)
        text = work / "text.txt"
        if not text.exists():
            with (arguments.text / f"{language}.train.txt").open(encoding="utf-8") as lines:
                text.write_text("".join(islice(lines, arguments.lines)), encoding="utf-8")
        paths = (text, arguments.text / f"{language}.valid.txt", arguments.source, work)
        data = encode(*paths[:2], work, arguments.size)
        tokens = counts(data)["train"]["tokens"]
        for batch in arguments.batches:
            for passes in arguments.passes:
                updates = round(passes * tokens / batch)
                table = Trainings(*paths, updates, batch, arguments.size)
                rows = table.run(START, {f"{batch}": ""}, arguments.seeds)
                found = mean(losses(rows, "focus", f"{batch}"))
                cells = (language, f"{tokens:,}", passes, f"{updates:,}", f"{batch:,}", f"{rows[-1]['before']:.3f}")
                print("|", " | ".join(map(str, cells)), f"| {found:.3f} |", flush=True)


if __name__ == "__main__":
    main()
