"""``focus train``"""

import os
from pathlib import Path
from typing import Any

import click
from focus_cli.common import launching, quiet_option, tell
from focus_cli.declared import options_of
from focus_cli.training import extra_argument, watching

from focus_plugin.forecast.forecast import Launch
from focus_plugin.masked_lm.options import Pretraining
from focus_plugin.options import build
from focus_plugin.training.ranks import rank_of


@click.command("train")
@click.argument("data", type=Path)
@options_of(Pretraining, Launch)
@click.option("--output", required=True, type=Path, help="Directory to make: a fairseq release.")
@quiet_option
@extra_argument
def command(output: Path, quiet: bool, **options: Any) -> None:
    """Continue the pretraining of a converted encoder.

    DATA: The directory made by focus prepare.

    Options after -- go to fairseq-train and override what is chosen here. An interrupted training continues when
    the same command is repeated. Started by torchrun or srun, the processes train together.
    """
    from focus_plugin.jobs.pretrain import passes, pretrain, take_part_in

    job, rank = build(Pretraining, options), rank_of(os.environ)
    if rank is not None and rank.number:
        take_part_in(job, output, rank)
        return
    tell(quiet, f"The training reads its text {passes(job):,.1f} times.", err=True)
    with watching(quiet) as watcher:
        made = pretrain(job, output, watcher, launching(quiet, options), rank)
    losses = made.counts["valid_loss_nats"]
    if losses:
        best = min(losses, key=losses.__getitem__)
        tell(
            quiet,
            f"{output}: validation loss {losses[best]:.3f} nats, reached at update {best} of {list(losses)[-1]}.",
        )
    if aligned := made.counts.get("dictionary"):
        tell(
            quiet,
            f"{aligned['pairs']:,} pairs of the dictionary: mean cosine {aligned['cosine_before']:.3f} before and "
            f"{aligned['cosine']:.3f} after the training.",
        )
