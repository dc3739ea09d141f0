"""``focus train``"""

from pathlib import Path

import click
from focus_cli.common import quiet_option, seed_option, tell
from focus_cli.training import cpu_option, extra_argument, learning_rate_option, watching


@click.command("train")
@click.argument("data", type=Path)
@click.option("--init", required=True, type=Path, help="Encoder to start from: a directory made by focus convert.")
@click.option("--output", required=True, type=Path, help="Directory to make: a fairseq release.")
@click.option("--updates", default=10_000, type=click.IntRange(min=1), help="Optimizer steps.")
@learning_rate_option(5e-5)
@click.option("--batch-tokens", default=32_768, type=click.IntRange(min=1), help="Tokens of one update.")
@click.option("--device-tokens", default=8_192, type=click.IntRange(min=1), help="Tokens on one device at once.")
@click.option("--validations", default=10, type=click.IntRange(min=1), help="How often to validate and save.")
@cpu_option
@seed_option
@quiet_option
@extra_argument
def command(
    data: Path,
    init: Path,
    output: Path,
    updates: int,
    lr: float,
    batch_tokens: int,
    device_tokens: int,
    validations: int,
    cpu: bool,
    seed: int,
    quiet: bool,
    extra: tuple[str, ...],
) -> None:
    """Continue the pretraining of a converted encoder on DATA, made by focus prepare.

    Options after -- go to fairseq-train and override what is chosen here. An interrupted training goes on when the
    same command is given again.
    """
    from focus_plugin.jobs.pretrain import Pretraining, pretrain

    job = Pretraining(
        data=data,
        init=init,
        updates=updates,
        learning_rate=lr,
        batch_tokens=batch_tokens,
        device_tokens=device_tokens,
        validations=validations,
        seed=seed,
        cpu=cpu,
        extra=extra,
    )
    with watching(quiet) as watcher:
        counts = pretrain(job, output, watcher).counts
    if losses := counts["valid_loss_nats"]:
        best = min(losses, key=losses.__getitem__)
        told = f"{output}: validation loss {losses[best]:.3f} nats, reached at update {best} of {list(losses)[-1]}."
        tell(quiet, told)
