"""``focus auxiliary``"""

from pathlib import Path
from typing import Any

import click
from focus_cli.common import given_options, interactive, launching, phases, quiet_option, tell
from focus_cli.declared import options_of

from focus_plugin.auxiliary.options import VectorInput, VectorOptions, require_effect
from focus_plugin.forecast.forecast import Launch
from focus_plugin.options import build


@click.command("auxiliary")
@options_of(VectorInput)
@click.option(
    "--output",
    required=True,
    type=Path,
    help="X.safetensors for the vectors of the tokens, X.bin for a whole fastText model.",
)
@options_of(VectorOptions, Launch)
@quiet_option
@click.pass_context
def command(context: click.Context, /, output: Path, quiet: bool, **values: Any) -> None:
    """Train auxiliary embeddings of the target tokens."""
    from focus_plugin.jobs.auxiliary import make_auxiliary

    made_of, options = build(VectorInput, values), build(VectorOptions, values)
    require_effect(options, given_options(context))
    launch = launching(quiet, values)
    known, total = make_auxiliary(made_of, options, output, phases(quiet), interactive(quiet), launch)
    tell(quiet, f"{output}: vectors for {known} of {total} tokens.")
