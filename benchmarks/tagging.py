"""Entities, parts of speech and topics from three encoders: adapted by FOCUS, from random rows, and not adapted.

    python benchmarks/tagging.py --data DIR --source DIR --work DIR --languages swa xho --seeds 1 2 3

`--data` has text/LANG.train.txt and text/LANG.valid.txt, ner/LANG/ and pos/LANG/ each with train.txt, dev.txt and
test.txt in CoNLL, and news/LANG/ with train.tsv, dev.tsv and test.tsv, which have the columns label and headline. A
language without news/LANG/train.tsv learns from its dev.tsv, every fifth row of which is the validation table. From
FOCUS and from random rows, the source is trained by the default recipe with a vocabulary of the language; the third
encoder is the source with its own vocabulary. Each is fine-tuned with each seed; the checkpoint is chosen on the
validation table, and measured on the test table. Differences have intervals of 95 % by a paired bootstrap over blocks
of the test table; their spread over seeds is as in a paired t-test. What is in `--work` already is used again. Prints
Markdown.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from arguments import program_parser
from focus_export.entities import entities_of
from steps import prepared, run, trained

from focus_plugin.comparison.bootstrap import blocks, means_over_seeds
from focus_plugin.finetuning.declaration import table_examples
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.evaluation import example_results, released_pipeline
from focus_plugin.text import Text

DRAWS = 10_000
STARTS = {"source": "source as it is", "random": "from random rows", "focus": "from FOCUS"}
COMPARED = (("focus", "random"), ("focus", "source"))


def entity_units(expected: Any, result: Any) -> tuple[int, int]:
    """Of a sentence, the numerator and the denominator of F1."""
    one, other = {*entities_of(expected.tags)}, {*entities_of([token.tag for token in result.tokens])}
    return 2 * len(one & other), len(one) + len(other)


def word_units(expected: Any, result: Any) -> tuple[int, int]:
    """Of a sentence, the words with the right tag, and all words."""
    return sum(tag == token.tag for tag, token in zip(expected.tags, result.tokens, strict=True)), len(expected.tags)


def label_units(expected: Any, result: Any) -> tuple[int, int]:
    """Of a text, whether its label is right, and one."""
    return int(expected == result.label), 1


@dataclass(frozen=True, kw_only=True)
class Task:
    """task: its name. metric: what is measured, the sum of the first units divided by that of the second. folder,
    ending: of its tables. columns: options for reading them. epochs: of the fine-tuning."""

    task: str
    metric: str
    units: Callable[[Any, Any], tuple[int, int]]
    folder: str
    ending: str
    columns: Mapping[str, Any]
    epochs: int

    @property
    def options(self) -> list[str]:
        """The columns as options of a command."""
        flags = {f"--{name.replace('_', '-')}": value for name, value in self.columns.items()}
        return [word for flag, value in flags.items() for word in ((flag,) if value is True else (flag, value))]


TASKS = {
    "entities": Task(
        task="tagging",
        metric="F1",
        units=entity_units,
        folder="ner",
        ending="txt",
        columns={"scheme": "bio", "repair": True},
        epochs=5,
    ),
    "parts of speech": Task(
        task="tagging",
        metric="accuracy",
        units=word_units,
        folder="pos",
        ending="txt",
        columns={"scheme": "plain"},
        epochs=10,
    ),
    "topics": Task(
        task="classification",
        metric="accuracy",
        units=label_units,
        folder="news",
        ending="tsv",
        columns={"text_column": "headline"},
        epochs=15,
    ),
}


def encoders(arguments: argparse.Namespace, language: str) -> dict[str, Path]:
    """The encoders of a language by their starts."""
    work = arguments.work / language
    train, found = prepared(arguments.data / "text", language, work), {"source": arguments.source}
    for method in ("random", "focus"):
        given = ("--source", arguments.source, "--vocab", work / "vocab", "--corpus", train, "--method", method)
        run("focus", "convert", *given, "--output", work / method)
        found[method] = trained(work / "data", work / method, work / f"{method}.lapt", arguments.updates)
    return found


def tables(folder: Path, ending: str, work: Path) -> tuple[Path, Path, Path]:
    """The training, validation and test table in a folder."""
    train, valid, test = (folder / f"{part}.{ending}" for part in ("train", "dev", "test"))
    if train.exists():
        return train, valid, test
    header, *rows = valid.read_text(encoding="utf-8").splitlines(keepends=True)
    train, part = work / f"{folder.parent.name}.train.{ending}", work / f"{folder.parent.name}.valid.{ending}"
    train.write_text("".join([header, *(row for number, row in enumerate(rows) if number % 5)]), encoding="utf-8")
    part.write_text("".join([header, *rows[::5]]), encoding="utf-8")
    return train, part, test


def measured(arguments: argparse.Namespace, language: str, task: Task, encoder: Path, name: str) -> list[np.ndarray]:
    """For each seed, the units of every example of the test table, (examples, 2), after fine-tuning an encoder."""
    work = arguments.work / language
    train, valid, test = tables(arguments.data / task.folder / language, task.ending, work)
    found = []
    for seed in arguments.seeds:
        model = work / f"{task.folder}.{name}.{seed}"
        kept = Path(f"{model}.units.npy")
        if not kept.exists():
            given = ("--model", encoder, "--train", train, "--valid", valid, *task.options, "--truncate")
            how = ("--epochs", arguments.epochs or task.epochs, "--lr", arguments.lr, "--seed", seed)
            run("focus", "finetune", task.task, *given, *how, "--output", model)
            np.save(kept, units(task, model, test))
        found.append(np.load(kept))
    return found


def units(task: Task, model: Path, table: Path) -> np.ndarray:
    """The units of every example of a table."""
    declared = find_task(task.task)
    examples = list(table_examples(declared, Text.of(table), declared.columns(**task.columns)))
    results = example_results(declared, released_pipeline(model, truncate=True).results, examples)
    return np.array([task.units(example.expected, result) for example, result in zip(examples, results, strict=True)])


def drawn(found: Mapping[str, list[np.ndarray]], seeds: list[int]) -> dict[str, np.ndarray]:
    """The mean over the seeds of each encoder's metric in every draw of the bootstrap."""
    draw = np.random.default_rng(1)
    summed = {name: np.array([blocks(*of_seed.T) for of_seed in own]) for name, own in found.items()}  # (seeds, 2, any)
    count = next(iter(summed.values())).shape[2]
    times = draw.multinomial(count, np.full(count, 1 / count), size=DRAWS)
    by_seed = [times @ sums[:, 0].T / np.maximum(times @ sums[:, 1].T, 1) for sums in summed.values()]
    return dict(zip(found, means_over_seeds(by_seed, [seeds] * len(found), draw), strict=True))


def cells(found: Mapping[str, list[np.ndarray]], seeds: list[int]) -> Iterator[str]:
    """The metric of each encoder with its deviation over the seeds, and the differences; all in per cent."""
    means = {}
    for name in STARTS:
        values = [100 * own[:, 0].sum() / own[:, 1].sum() for own in found[name]]
        means[name] = mean(values)
        yield f"{means[name]:.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")
    draws = drawn(found, seeds)
    for one, other in COMPARED:
        low, high = 100 * np.quantile(draws[one] - draws[other], (0.025, 0.975))
        yield f"{means[one] - means[other]:+.1f} ({low:+.1f} to {high:+.1f})"


def main() -> None:
    """Adapt, fine-tune, measure, and print the Markdown."""
    parser = program_parser(__doc__, "data", "source", "work")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--updates", type=int, default=400, help="of the adaptation, of 4,096 tokens")
    parser.add_argument("--epochs", type=int, help="of every fine-tuning, instead of those of its task")
    parser.add_argument("--lr", default="3e-4")
    arguments = parser.parse_args()
    differences = (f"{STARTS[one]} less {STARTS[other]}" for one, other in COMPARED)
    print("|", " | ".join(["language", "task", "metric, %", *STARTS.values(), *differences]), "|")
    print(f"|---|---|---|{'---:|' * (len(STARTS) + len(COMPARED))}")
    for language, name in product(arguments.languages, arguments.tasks):
        task, models = TASKS[name], encoders(arguments, language)
        found = {start: measured(arguments, language, task, model, start) for start, model in models.items()}
        print("|", " | ".join([language, name, task.metric, *cells(found, arguments.seeds)]), "|", flush=True)


if __name__ == "__main__":
    main()
