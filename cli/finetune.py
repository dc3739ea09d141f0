"""``focus finetune``"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from focus_cli.common import launching, metrics_sentence, quiet_option, refuse, tell
from focus_cli.declared import options_of
from focus_cli.training import extra_argument, watching

from focus_plugin.finetuning.declaration import BASELINES, Finetuning, TaskHead
from focus_plugin.finetuning.discovery import TASKS, all_tasks, find_task
from focus_plugin.finetuning.options import SeveralSeeds
from focus_plugin.finetuning.seeds import mean_and_deviation, read_seeds
from focus_plugin.forecast.forecast import Launch
from focus_plugin.leakage import LEAKAGE, leakage_warnings
from focus_plugin.options import build, declared


class Tasks(click.Group):
    """A subcommand for each task that can be trained, made from its declaration."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the tasks."""
        return [task.name for task in all_tasks() if task.finetuning]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The subcommand of a task, or None if there is none of that name."""
        if name not in TASKS.names():
            return None
        task = find_task(name)
        return _command(task, task.finetuning) if task.finetuning else None


class TaskCommand(click.Command):
    """The subcommand of a task."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; the error for an option that only other tasks have names these tasks."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            others = [
                task.name
                for task in all_tasks()
                if task.finetuning and error.option_name in _flags(task.finetuning.options, task.columns)
            ]
            if not others:
                raise
            raise click.UsageError(
                f"{self.name} has no option {error.option_name}, unlike {', '.join(others)}.", ctx
            ) from error


def _flags(*declarations: type) -> set[str]:
    return {f"--{entry.flag}" for declaration in declarations for entry in declared(declaration)}


@click.command("finetune", cls=Tasks)
def command() -> None:
    """Fine-tune an encoder for a task."""


def _command(task: TaskHead, finetuning: Finetuning) -> click.Command:
    @click.command(task.name, cls=TaskCommand, help=_help(task), short_help=task.summary)
    @options_of(finetuning.options, task.columns, SeveralSeeds, Launch)
    @click.option("--output", required=True, type=Path, help="Directory to make: a fairseq release with head.json.")
    @quiet_option
    @extra_argument
    @click.pass_context
    def run(context: click.Context, /, output: Path, quiet: bool, **options: Any) -> None:
        """Fine-tune, and print the metrics and the warnings."""
        from focus_plugin.jobs.finetune import WARNINGS, FinetuningJob, finetune
        from focus_plugin.jobs.finetune_seeds import finetune_seeds

        seeds = read_seeds(options["seeds"]) if options["seeds"] else ()
        if seeds:
            refuse(context, ("seed",), "has no effect with --seeds.")
        job = FinetuningJob(
            task=task.name,
            options=build(finetuning.options, options),
            columns=build(task.columns, options),
        )
        launch = launching(quiet, options)
        with watching(quiet) as watcher:
            if seeds:
                counts = finetune_seeds(job, seeds, output, watcher, launch).counts
            else:
                counts = finetune(job, output, watcher, launch).counts
        tell(quiet, *(f"{output}: {sentence}" for sentence in (_of_seeds(counts) if seeds else _results(counts))))
        sentences = (*counts.get(WARNINGS, ()), *leakage_warnings(counts.get(LEAKAGE, {})))
        tell(quiet, *(f"Warning: {sentence}" for sentence in sentences))

    return run


def _results(counts: Mapping[str, Any]) -> Iterator[str]:
    """The metrics on each evaluated table, from the counts of a manifest."""
    for split, name in (("valid", "validation"), ("test", "test")):
        prefix = f"{split}_"
        metrics = {key.removeprefix(prefix): value for key, value in counts.items() if key.startswith(prefix)}
        if samples := metrics.pop("samples", None):
            yield metrics_sentence(metrics, f"{samples} {name} samples", counts.get(BASELINES, {}).get(split))


def _of_seeds(counts: Mapping[str, Any]) -> Iterator[str]:
    """The metrics of every seed on each evaluated table, their mean and deviation, and the seeds that collapsed."""
    seeds: Mapping[str, Mapping[str, Any]] = counts["seeds"]
    for seed, own in seeds.items():
        yield f"seed {seed}: {'; '.join(sentence.removesuffix('.') for sentence in _results(own))}."
    for split, name in (("valid_", "validation"), ("test_", "test")):
        metrics = [key for key in next(iter(seeds.values())) if key.startswith(split) and key != f"{split}samples"]
        found = {key: mean_and_deviation([own[key] for own in seeds.values()]) for key in metrics}
        if found:
            listed = ", ".join(
                f"{key.removeprefix(split).replace('_', '-')} {mean:.3f} (deviation {deviation:.3f})"
                for key, (mean, deviation) in found.items()
            )
            yield f"mean of {len(seeds)} seeds: {listed} on {counts[f'{split}samples']} {name} samples."
    for seed, reason in counts["collapsed"].items():
        yield f"seed {seed} collapsed: {reason}."
    yield f"the model of seed {counts['seed']}, the best on the validation table."


def _help(task: TaskHead) -> str:
    return (
        f"{task.summary}\n\nOptions after -- go to fairseq-train and override what is chosen here. An interrupted "
        "training continues when the same command is repeated."
    )
