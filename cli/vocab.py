"""``focus vocab``"""

from pathlib import Path

import click
from focus_cli.common import phases, quiet_option, seed_option, tell


@click.command("vocab")
@click.option("--input", "corpus", required=True, type=Path, help="Text of the target language, UTF-8.")
@click.option("--size", required=True, type=click.IntRange(min=4), help="Pieces, <unk> <s> </s> included.")
@click.option("--output", required=True, type=Path, help="Directory to make.")
@click.option("--sample-mb", default=256, type=click.IntRange(min=1), help="Train on at most this much of the text.")
@seed_option
@quiet_option
def command(corpus: Path, size: int, output: Path, sample_mb: int, seed: int, quiet: bool) -> None:
    """Train a SentencePiece vocabulary for the target language."""
    from focus_plugin.jobs.vocabulary import make_vocabulary

    manifest = make_vocabulary(corpus, size, output, sample_bytes=sample_mb << 20, seed=seed, phase=phases(quiet))
    tell(
        quiet,
        f"{output}: {manifest.counts['pieces']} pieces, {manifest.counts['tokens_per_word']:.3f} tokens per word "
        f"on {manifest.counts['words']:,} words of {corpus}.",
    )
