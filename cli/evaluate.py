"""``focus evaluate``"""

from pathlib import Path
from typing import Any

import click
from focus_cli.common import given_options, launching, metrics_sentence, phases, refuse
from focus_cli.declared import click_option, options_of

from focus_plugin.finetuning.options import TableEvaluation
from focus_plugin.forecast.forecast import Launch
from focus_plugin.jobs.export_options import column_options
from focus_plugin.masked_lm.options import Evaluation
from focus_plugin.options import build, declared

OF_DATA = ("split", "tokens_per_sample", "seed")


class Evaluate(click.Command):
    """A command that also has the options of the tasks' tables, which are found when they are needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of the command, and those of the tables of all tasks."""
        return [*super().get_params(ctx), *map(click_option, column_options())]


@click.command("evaluate", cls=Evaluate)
@click.argument("data", type=Path, required=False)
@options_of(Evaluation, TableEvaluation, Launch)
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Measure the masked-LM loss of an encoder on prepared text, or the metrics of a fine-tuned model on a table.

    DATA: The directory made by focus prepare.

    15 % of the tokens are predicted, but no special tokens such as </s>. Of these, 80 % are masked, 10 % replaced by a
    random token and 10 % left as they are. This choice depends only on the text and --seed, so encoders with the same
    vocabulary are measured on the same predictions, whatever their training.
    """
    if bool(options["data"]) == bool(options["table"]):
        raise click.UsageError("Give DATA, made by focus prepare, or --table.")
    columns = [entry.name for entry in column_options()]
    if options["table"]:
        refuse(context, OF_DATA, "is for DATA, not for --table.")
        _evaluate_table({**options, "columns": {name: options[name] for name in given_options(context) & {*columns}}})
        return
    refuse(context, (*(entry.name for entry in declared(TableEvaluation)), *columns), "has no effect without --table.")
    from focus_plugin.jobs.evaluate import evaluate

    job = build(Evaluation, options)
    loss = evaluate(job, phases(quiet=False), launching(False, options))
    click.echo(f"{job.model}: masked-LM loss {loss.nats:.4f} nats on {loss.predicted} predicted tokens.")


def _evaluate_table(options: dict[str, Any]) -> None:
    from focus_plugin.jobs.evaluate_table import evaluate_table

    job = build(TableEvaluation, options)
    found = evaluate_table(job, phases(quiet=False), launching(False, options))
    click.echo(f"{job.model}: {metrics_sentence(found.metrics, f'{found.samples} samples', found.baseline)}")
