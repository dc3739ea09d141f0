"""``focus evaluate``"""

from pathlib import Path

import click
from focus_cli.common import phases, seed_option
from focus_cli.training import cpu_option


@click.command("evaluate")
@click.argument("data", type=Path)
@click.option("--model", required=True, type=Path, help="Encoder directory with the vocabulary DATA was made with.")
@click.option("--tokens-per-sample", default=512, type=click.IntRange(min=2), help="Length of the samples.")
@cpu_option
@seed_option
def command(data: Path, model: Path, tokens_per_sample: int, cpu: bool, seed: int) -> None:
    """Measure the masked-LM loss of an encoder on the validation text of DATA, made by focus prepare."""
    from focus_plugin.jobs.evaluate import evaluate

    with phases(quiet=False)("Evaluating", 1):
        loss = evaluate(model, data, tokens_per_sample=tokens_per_sample, seed=seed, cpu=cpu)
    click.echo(f"{model}: masked-LM loss {loss.nats:.4f} nats on {loss.predicted} predicted tokens.")
