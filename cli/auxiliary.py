"""``focus auxiliary``"""

from pathlib import Path
from typing import Any

import click
from focus_cli.common import interactive, phases, quiet_option, tell
from focus_cli.declared import options_of

from focus_plugin.auxiliary.options import FastTextOptions
from focus_plugin.options import build


@click.command("auxiliary")
@click.option("--corpus", required=True, type=Path, help="Text of the target language, UTF-8.")
@click.option("--vocab", required=True, type=Path, help="Directory made by focus vocab.")
@click.option(
    "--output",
    required=True,
    type=Path,
    help="X.bin for a fastText model, X.safetensors for the tokens' vectors alone.",
)
@options_of(FastTextOptions)
@quiet_option
def command(corpus: Path, vocab: Path, output: Path, quiet: bool, **fasttext: Any) -> None:
    """Train the auxiliary fastText vectors of the target tokens."""
    from focus_plugin.jobs.auxiliary import make_auxiliary

    options = build(FastTextOptions, fasttext)
    known, total = make_auxiliary(corpus, vocab, output, options, phases(quiet), interactive(quiet))
    tell(quiet, f"{output}: vectors for {known} of {total} tokens.")
