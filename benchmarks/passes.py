"""The section "How often to read a small text" of docs/results.md: losses by passes and batches, by `focus compare`.

    python benchmarks/passes.py --text DIR --source DIR --work DIR --languages xho som --lines 4000 \
        --passes 5 10 20 40 --batches 1024 2048 4096 --dropout 0 0.1

`--text` has LANG.train.txt and LANG.valid.txt. Only the first `--lines` lines of the training text are used, for the
vocabulary and the start, too. All trainings have the default recipe, but the dropout of `--dropout`. What is in
`--work` already is used again. Prints Markdown: the loss on the validation text after each training.
"""

from itertools import islice, product
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
    parser.add_argument("--dropout", nargs="+", type=float, default=[0, 0.1])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    arguments = parser.parse_args()
    print("| | tokens of text | passes | updates | tokens of an update | dropout | before | after |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
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
        for batch, passes, dropout in product(arguments.batches, arguments.passes, arguments.dropout):
            updates = round(passes * tokens / batch)
            recipe = f"{batch}-{dropout:g}".replace(".", "_")
            extra = f"-- --dropout {dropout} --attention-dropout {dropout}"
            rows = Trainings(*paths, updates, batch, arguments.size).run(START, {recipe: extra}, arguments.seeds)
            after, before = mean(losses(rows, "focus", recipe)), rows[-1]["before"]
            cells = (language, f"{tokens:,}", passes, f"{updates:,}", f"{batch:,}", f"{dropout:g}")
            print("|", " | ".join(map(str, cells)), f"| {before:.3f} | {after:.3f} |", flush=True)


if __name__ == "__main__":
    main()
