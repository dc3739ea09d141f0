"""All tasks from three encoders: adapted by FOCUS, from random rows, and not adapted.

    python benchmarks/tasks.py --data DIR --source DIR --work DIR --languages swa xho --seeds 1 2 3 \
        --tasks entities "parts of speech" topics
    ... --languages kin --tasks relatedness
    ... --languages swa --tasks retrieval
    ... --languages eng --tasks questions

`--data` has text/LANG.train.txt and text/LANG.valid.txt; ner/LANG/ and pos/LANG/, each with train.txt, dev.txt and
test.txt in CoNLL; news/LANG/ with train.tsv, dev.tsv and test.tsv, which have the columns label and headline (without
train.tsv, dev.tsv is used, every fifth row of it for validation); relatedness/LANG/ with train.csv, dev.csv and
test.csv, which have the columns Text (two lines) and Score; parallel/en-LANG.PART.en and parallel/en-LANG.PART.LANG;
and qa/zul/ and qa/kin/ with train.json, dev.json and test.json as in AfriQA, whose contexts are English.

From FOCUS and from random rows, the source is trained by the default recipe with a vocabulary of the language, which
for retrieval is appended to the source's; the third encoder is the source as it is, the only one for questions. Each
is fine-tuned with each seed; the checkpoint is chosen on the validation table, and measured on the test table.
Differences have intervals of 95 % by a paired bootstrap over the examples of the test table; their spread over seeds
is as in a paired t-test. What is in `--work` already is used again. Prints Markdown.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from arguments import program_parser
from focus_export.entities import entities_of
from scipy.stats import rankdata
from steps import prepared, run, trained

from focus_plugin.comparison.bootstrap import means_over_seeds
from focus_plugin.embeddings.quality import nearest
from focus_plugin.finetuning.declaration import table_examples
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.evaluation import example_results, released_pipeline
from focus_plugin.text import Text

DRAWS, AT_ONCE = 10_000, 250
STARTS = {"source": "source as it is", "random": "from random rows", "focus": "from FOCUS"}
COMPARED = (("focus", "random"), ("focus", "source"))

# Of the expected and the predicted results of a table: two numbers for each example, (examples, 2).
Units = Callable[[Sequence[Any], Sequence[Any]], np.ndarray]


def each(units: Callable[[Any, Any], tuple[float, float]]) -> Units:
    """The two numbers of examples that are independent of each other."""
    return lambda expected, results: np.array([units(*pair) for pair in zip(expected, results, strict=True)])


def entity_units(expected: Any, result: Any) -> tuple[float, float]:
    """Of a sentence, the numerator and the denominator of F1."""
    one, other = {*entities_of(expected.tags)}, {*entities_of([token.tag for token in result.tokens])}
    return 2 * len(one & other), len(one) + len(other)


def word_units(expected: Any, result: Any) -> tuple[float, float]:
    """Of a sentence, the words with the right tag, and all words."""
    return sum(tag == token.tag for tag, token in zip(expected.tags, result.tokens, strict=True)), len(expected.tags)


def label_units(expected: Any, result: Any) -> tuple[float, float]:
    """Of a text, whether its label is right, and one."""
    return int(expected == result.label), 1


def answer_units(expected: Any, result: Any) -> tuple[float, float]:
    """Of a question, the F1 of its answer, and one."""
    return find_task("questions").metrics([expected], [result])["f1"], 1


def score_units(expected: Any, result: Any) -> tuple[float, float]:
    """Of a pair of texts, its score and the predicted one."""
    return float(expected), result


def retrieval_units(expected: Sequence[Any], results: Sequence[Any]) -> np.ndarray:
    """Of a pair of texts, how many of the two find the other one as the nearest of all, and two."""
    texts = [[pair.first for pair in expected], [pair.second for pair in expected]]
    sides = [np.array([vectors[side] for vectors in results]) for side in (0, 1)]
    found = sum(
        np.array([other[number] == right for number, right in zip(nearest(*sides[::way]), other, strict=True)], int)
        for way, other in ((1, texts[1]), (-1, texts[0]))
    )
    return np.stack([found, np.full(len(expected), 2)], axis=1)


def share(units: np.ndarray) -> np.ndarray:
    """The sum of the first numbers divided by that of the second ones, (...); units: (..., examples, 2)."""
    first, second = np.moveaxis(units.sum(axis=-2), -1, 0)
    return np.asarray(first / np.maximum(second, 1))


def spearman(units: np.ndarray) -> np.ndarray:
    """The rank correlation of the two numbers, (...); units: (..., examples, 2)."""
    ranks = rankdata(units, axis=-2)
    ranks -= ranks.mean(axis=-2, keepdims=True)
    first, second = np.moveaxis(ranks / np.linalg.norm(ranks, axis=-2, keepdims=True), -1, 0)
    return np.asarray((first * second).sum(axis=-1))


@dataclass(frozen=True, kw_only=True)
class Task:
    """task: its name. metric, value: what is measured. tables: the files of a table; line i of both is an example if
    line_aligned is a column. columns: options for reading them. options: more of the fine-tuning. starts: the encoders.
    extended: whether the source's vocabulary is kept."""

    task: str
    metric: str
    value: Callable[[np.ndarray], np.ndarray] = share
    units: Units
    tables: tuple[str, ...]
    columns: Mapping[str, Any]
    options: tuple[object, ...] = ()
    epochs: int
    starts: Sequence[str] = field(default_factory=lambda: list(STARTS))
    extended: bool = False

    @property
    def flags(self) -> list[str]:
        """The columns as options of a command."""
        flags = {f"--{name.replace('_', '-')}": value for name, value in self.columns.items()}
        return [word for flag, value in flags.items() for word in ((flag,) if value is True else (flag, value))]

    @property
    def folder(self) -> str:
        """Of its tables, which names what is kept."""
        return self.tables[0].split("/")[0]


TASKS = {
    "entities": Task(
        task="tagging",
        metric="F1",
        units=each(entity_units),
        tables=("ner/{language}/{part}.txt",),
        columns={"scheme": "bio", "repair": True},
        epochs=5,
    ),
    "parts of speech": Task(
        task="tagging",
        metric="accuracy",
        units=each(word_units),
        tables=("pos/{language}/{part}.txt",),
        columns={"scheme": "plain"},
        epochs=10,
    ),
    "topics": Task(
        task="classification",
        metric="accuracy",
        units=each(label_units),
        tables=("news/{language}/{part}.tsv",),
        columns={"text_column": "headline"},
        epochs=15,
    ),
    "relatedness": Task(
        task="pairs",
        metric="Spearman",
        value=spearman,
        units=each(score_units),
        tables=("relatedness/{language}/{part}.csv",),
        columns={"pair_column": "Text", "label_column": "Score"},
        options=("--regression",),
        epochs=15,
    ),
    "retrieval": Task(
        task="embedding",
        metric="accuracy",
        units=retrieval_units,
        tables=("parallel/en-{language}.{part}.en", "parallel/en-{language}.{part}.{language}"),
        columns={"line_aligned": True},
        epochs=1,
        extended=True,
    ),
    "questions": Task(
        task="questions",
        metric="F1",
        units=each(answer_units),
        tables=("qa/zul/{part}.json", "qa/kin/{part}.json"),
        columns={"question_field": "question_translated", "answers_field": "answer_pivot"},
        epochs=10,
        starts=("source",),
    ),
}


def encoder(arguments: argparse.Namespace, language: str, start: str, extended: bool) -> Path:
    """The encoder of a language from one of the starts."""
    if start == "source":
        return arguments.source
    work = arguments.work / language
    train = prepared(arguments.data / "text", language, work)
    given = ("--source", arguments.source, "--vocab", work / "vocab", "--corpus", train, "--method", start)
    if not extended:
        run("focus", "convert", *given, "--output", work / start)
        return trained(work / "data", work / start, work / f"{start}.lapt", arguments.updates)
    model, data = work / f"{start}.extended", work / f"{start}.extended.data"
    texts = ("--train", train, "--valid", arguments.data / "text" / f"{language}.valid.txt")
    run("focus", "convert", *given, "--extend", "--output", model)
    run("focus", "prepare", "--vocab", model, *texts, "--output", data)
    return trained(data, model, work / f"{start}.extended.lapt", arguments.updates)


def table(arguments: argparse.Namespace, language: str, task: Task, part: str) -> list[Path]:
    """The files of a table."""
    return [arguments.data / name.format(language=language, part=part) for name in task.tables]


def tables(arguments: argparse.Namespace, language: str, task: Task) -> list[list[Path]]:
    """The training, validation and test table of a task."""
    train, valid, test = (table(arguments, language, task, part) for part in ("train", "dev", "test"))
    if train[0].exists():
        return [train, valid, test]
    header, *rows = valid[0].read_text(encoding="utf-8").splitlines(keepends=True)
    parts = [arguments.work / language / f"{task.folder}.{part}{valid[0].suffix}" for part in ("train", "valid")]
    for file, chosen in zip(parts, (lambda number: number % 5, lambda number: number % 5 == 0), strict=True):
        file.write_text("".join([header, *(row for number, row in enumerate(rows) if chosen(number))]), "utf-8")
    return [*([file] for file in parts), test]


def measured(arguments: argparse.Namespace, language: str, task: Task, start: str) -> list[np.ndarray]:
    """For each seed, the units of every example of the test table, (examples, 2), after fine-tuning an encoder."""
    model = encoder(arguments, language, start, task.extended)
    train, valid, test = tables(arguments, language, task)
    named = [
        word for flag, files in (("--train", train), ("--valid", valid)) for file in files for word in (flag, file)
    ]
    found = []
    for seed in arguments.seeds:
        output = arguments.work / language / f"{task.folder}.{start}.{seed}"
        kept = Path(f"{output}.units.npy")
        if not kept.exists():
            how = ("--epochs", arguments.epochs or task.epochs, "--lr", arguments.lr, "--seed", seed)
            given = ("--model", model, *named, *task.flags, *task.options, "--truncate")
            run("focus", "finetune", task.task, *given, *how, "--output", output)
            np.save(kept, test_units(task, output, test))
        found.append(np.load(kept))
    return found


def test_units(task: Task, model: Path, files: Sequence[Path]) -> np.ndarray:
    """The units of every example of a table."""
    declared = find_task(task.task)
    examples = list(table_examples(declared, Text.of(*files), declared.columns(**task.columns)))
    results = list(example_results(declared, released_pipeline(model, truncate=True).results, examples))
    return task.units([example.expected for example in examples], results)


def drawn(value: Callable[[np.ndarray], np.ndarray], found: Mapping[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """The mean over the seeds of each encoder's metric in every draw of the bootstrap."""
    draw = np.random.default_rng(1)
    own = np.array(list(found.values()))  # (encoders, seeds, examples, 2)
    count = own.shape[2]
    chosen = [draw.integers(count, size=(AT_ONCE, count)) for _ in range(DRAWS // AT_ONCE)]
    by_seed = [np.stack([np.concatenate([value(of[rows]) for rows in chosen]) for of in one], axis=1) for one in own]
    return dict(zip(found, means_over_seeds(by_seed, [range(own.shape[1])] * len(own), draw), strict=True))


def cells(task: Task, found: Mapping[str, list[np.ndarray]]) -> Iterator[str]:
    """The metric of each encoder with its deviation over the seeds, and the differences; all in per cent."""
    means = {}
    for start in STARTS:
        values = [100 * float(task.value(own)) for own in found.get(start, ())]
        if values:
            means[start] = mean(values)
        deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
        yield f"{means[start]:.1f}{deviation}" if values else ""
    draws = drawn(task.value, found)
    for one, other in COMPARED:
        if one in found and other in found:
            low, high = 100 * np.quantile(draws[one] - draws[other], (0.025, 0.975))
            yield f"{means[one] - means[other]:+.1f} ({low:+.1f} to {high:+.1f})"
        else:
            yield ""


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
        task = TASKS[name]
        found = {start: measured(arguments, language, task, start) for start in task.starts}
        print("|", " | ".join([language, name, task.metric, *cells(task, found)]), "|", flush=True)


if __name__ == "__main__":
    main()
