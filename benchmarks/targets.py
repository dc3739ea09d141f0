"""The section "From text to a classifier" of docs/results.md: all commands, from FOCUS and from random rows.

    python benchmarks/targets.py --text DIR --news DIR --source DIR --work DIR --languages swa xho

`--text` has LANG.train.txt and LANG.valid.txt; `--news` has LANG/train.tsv (or dev.tsv in its place) and LANG/test.tsv
with the columns label and headline. What is in `--work` already is used again. Prints Markdown, and the commands on
standard error.
"""

import argparse

from arguments import program_parser
from steps import LENGTH, RECIPE, counts, figure, loss, prepared, run


def language(arguments: argparse.Namespace, name: str) -> dict[str, object]:
    """The main job for one language: every figure of its column."""
    work = arguments.work / name
    train, valid = prepared(arguments.text, name, work), arguments.text / f"{name}.valid.txt"
    found: dict[str, object] = {}
    for method in ("random", "focus"):
        source = ("--source", arguments.source, "--vocab", work / "vocab", "--corpus", train)
        run("focus", "convert", *source, "--method", method, "--output", work / method)
        base = ("focus", "train", work / "data", "--init", work / method, "--output", work / f"{method}.lapt")
        schedule = ("--updates", arguments.updates, "--lr", "5e-4", *RECIPE)
        validated = ("--validate-every", -(-arguments.updates // 6))
        run(*base, *schedule, *validated, "--", "--tokens-per-sample", LENGTH)
        for stage in (method, f"{method}.lapt"):
            found[f"loss.{stage}"] = loss(work / "data", work / stage)
        found[f"{method}.curve"] = counts(work / f"{method}.lapt")["valid_loss_nats"]
    news = arguments.news / name
    table = news / "train.tsv" if (news / "train.tsv").exists() else news / "dev.tsv"
    for method in ("random", "focus"):
        tables = ("--train", table, "--valid", news / "test.tsv", "--text-column", "headline")
        tuned = ("focus", "finetune", "classification", "--model", work / f"{method}.lapt", *tables)
        run(*tuned, "--epochs", arguments.epochs, "--lr", "3e-4", "--output", work / f"{method}.topic")
        found[f"{method}.topic"] = counts(work / f"{method}.topic")
    run("focus", "export", "--onnx", "--model", work / "focus.topic", "--output", work / "onnx")
    (work / "out.jsonl").unlink(missing_ok=True)
    told = run("focus", "predict", "--model", work / "onnx", "--input", valid, "--output", work / "out.jsonl")
    found["rate"] = figure(r"(\d+) texts a second", told)
    return found | counts(work / "focus") | counts(work / "onnx")


def table(results: dict[str, dict]) -> str:
    """The figures of every language as Markdown."""
    rows = {
        "tokens per word, before": lambda f: f"{f['source_tokens_per_word']:.2f}",
        "tokens per word, after": lambda f: f"{f['target_tokens_per_word']:.2f}",
        "model size, before": lambda f: f"{f['source_bytes'] / 1e6:.1f} MB",
        "model size, after": lambda f: f"{f['target_bytes'] / 1e6:.1f} MB",
        "tokens copied / mixed / filled": lambda f: f"{f['overlap']:,} / {f['mixed']:,} / {f['filled']:,}",
        "mean support of a mixture": lambda f: f"{f['mean_support']:.0f}",
        "loss, overlap copied and the rest random": lambda f: f"{f['loss.random']:.3f}",
        "loss, FOCUS": lambda f: f"**{f['loss.focus']:.3f}**",
        "loss after training, from random": lambda f: f"{f['loss.random.lapt']:.3f}",
        "loss after training, from FOCUS": lambda f: f"**{f['loss.focus.lapt']:.3f}**",
        "topics, accuracy / macro-F1 from random": lambda f: scores(f["random.topic"]),
        "topics, accuracy / macro-F1 from FOCUS": lambda f: scores(f["focus.topic"]),
        "largest difference of ONNX to PyTorch": lambda f: f"{f['largest_difference_to_pytorch']:.1e}",
        "texts a second, ONNX Runtime": lambda f: f["rate"],
    }
    lines = ["| | " + " | ".join(results) + " |", "|---|" + "---:|" * len(results)]
    lines += [
        f"| {name} | " + " | ".join(str(tell(found)) for found in results.values()) + " |"
        for name, tell in rows.items()
    ]
    return "\n".join(lines)


def scores(found: dict) -> str:
    """Accuracy and macro-F1 of a classifier, in per cent."""
    return f"{100 * found['valid_accuracy']:.1f} / {100 * found['valid_macro_f1']:.1f}"


def curves(results: dict[str, dict]) -> str:
    """Validation loss by update, from both starts, as Markdown."""
    lines = ["| update | " + " | ".join(f"{name}, {way}" for name in results for way in ("random", "FOCUS")) + " |"]
    lines.append("|---:|" + "---:|" * 2 * len(results))
    columns = [found[f"{method}.curve"] for found in results.values() for method in ("random", "focus")]
    starts = [found[f"loss.{method}"] for found in results.values() for method in ("random", "focus")]
    lines.append("| 0 | " + " | ".join(f"{value:.2f}" for value in starts) + " |")
    for update in columns[0]:
        lines.append(f"| {update} | " + " | ".join(f"{column[update]:.2f}" for column in columns) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run everything and print the Markdown."""
    parser = program_parser(__doc__, "text", "news", "source", "work")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=15)
    arguments = parser.parse_args()
    results = {name: language(arguments, name) for name in arguments.languages}
    print(table(results), curves(results), sep="\n\n")


if __name__ == "__main__":
    main()
