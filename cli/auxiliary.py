"""``focus auxiliary``"""

from pathlib import Path

import click
from focus_cli.common import interactive, phases, quiet_option, tell
from focus_cli.fasttext_options import fasttext_options


@click.command("auxiliary")
@click.option("--corpus", required=True, type=Path, help="Text of the target language, UTF-8.")
@click.option("--vocab", required=True, type=Path, help="Directory made by focus vocab.")
@click.option(
    "--output",
    required=True,
    type=Path,
    help="X.bin for a fastText model, X.safetensors for the tokens' vectors alone.",
)
@fasttext_options
@quiet_option
def command(
    corpus: Path, vocab: Path, output: Path, dim: int, epochs: int, min_count: int, threads: int, quiet: bool
) -> None:
    """Train the auxiliary fastText vectors of the target tokens."""
    from focus_plugin.auxiliary.training import FastTextOptions
    from focus_plugin.jobs.auxiliary import make_auxiliary

    fasttext = FastTextOptions(dimension=dim, epochs=epochs, minimum_count=min_count, threads=threads)
    known, total = make_auxiliary(corpus, vocab, output, fasttext, phases(quiet), interactive(quiet))
    tell(quiet, f"{output}: vectors for {known} of {total} tokens.")
