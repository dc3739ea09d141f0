"""The section "Parts of the recipe" of docs/results.md: what each part of the recipe contributes, by `focus compare`.

    python benchmarks/recipe_parts.py --text DIR --source DIR --work DIR --languages som tir

`--text` has LANG.train.txt and LANG.valid.txt. All trainings start from the default start and read the same number of
tokens. What is in `--work` already is used again. Prints Markdown: each loss, and its difference from the default's.
"""

from statistics import mean

from arguments import program_parser
from recipes import BATCH, losses, trainings

START = {"focus": ""}
ADAPT = {"adapt": ""}
PLAIN = "--recipe plain --lr 2e-3"
PARTS = {
    "plain": PLAIN,
    "plain-40": f"{PLAIN} -- --mask-prob 0.4",
    "plain-no-dropout": f"{PLAIN} -- --dropout 0 --attention-dropout 0",
    "plain-ratio-10": "--recipe plain --lr 5e-4 -- --optimizer focus_adam --embedding-lr-ratio 10",
    "mask-15": "-- --mask-prob 0.15",
    "mask-30": "-- --mask-prob 0.3",
    "mask-50": "-- --mask-prob 0.5",
    "mask-60": "-- --mask-prob 0.6",
    "whole-words": "-- --mask-whole-words",
    "dropout-10": "-- --dropout 0.1 --attention-dropout 0.1",
    "ratio-1": "--embedding-lr-ratio 1",
    "ratio-1-lr-2e-3": "--embedding-lr-ratio 1 --lr 2e-3",
    "ratio-5-lr-1e-3": "--embedding-lr-ratio 5 --lr 1e-3",
    "ratio-3": "--embedding-lr-ratio 3",
    "ratio-30": "--embedding-lr-ratio 30",
    "layer-decay-80": "-- --layer-lr-decay 0.8",
    "warm-up-20": "-- --warmup-updates {fifth}",
    "quadratic-decay": "-- --power 2",
    "no-clipping": "-- --clip-norm 0",
    "beta-95": '-- --adam-betas "(0.9, 0.95)"',
}
SMALLER = (2, 4)  # batches


def main() -> None:
    """Run everything and print the Markdown."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    arguments = parser.parse_args()
    updates = arguments.updates
    print("| | recipe | updates of tokens | loss | difference |\n|---|---|---:|---:|---:|")
    for language in arguments.languages:
        parts = ADAPT | {name: options.format(fifth=updates // 5) for name, options in PARTS.items()}
        tables = [(trainings(arguments, language, updates), parts)]
        tables += [(trainings(arguments, language, n * updates, BATCH // n), ADAPT) for n in SMALLER]
        first = None
        for table, recipes in tables:
            rows = table.run(START, recipes, arguments.seeds)
            for recipe in recipes:
                loss = mean(losses(rows, "focus", recipe))
                first = loss if first is None else first
                size = f"{table.updates} x {table.batch}"
                print(f"| {language} | {recipe} | {size} | {loss:.3f} | {loss - first:+.3f} |", flush=True)


if __name__ == "__main__":
    main()
