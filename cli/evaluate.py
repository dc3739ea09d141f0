"""``focus evaluate``"""

from pathlib import Path
from typing import Any

import click
from focus_cli.common import phases
from focus_cli.declared import options_of

from focus_plugin.masked_lm.options import Evaluation
from focus_plugin.options import build


@click.command("evaluate")
@click.argument("data", type=Path)
@options_of(Evaluation)
def command(**options: Any) -> None:
    """Measure the masked-LM loss of an encoder on prepared text.

    DATA: The directory made by focus prepare.

    15 % of the tokens are predicted, special tokens such as </s> excepted. Of these 80 % are masked, 10 % replaced by a
    random token and 10 % left as they are. The draw depends on the text and --seed alone, so that encoders with one
    vocabulary are measured on the same predictions, however they were trained.
    """
    from focus_plugin.jobs.evaluate import evaluate

    job = build(Evaluation, options)
    loss = evaluate(job, phases(quiet=False))
    click.echo(f"{job.model}: masked-LM loss {loss.nats:.4f} nats on {loss.predicted} predicted tokens.")
