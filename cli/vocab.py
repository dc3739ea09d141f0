"""``focus vocab``"""

from pathlib import Path

import click
from focus_cli.common import phases, quiet_option, seed_option, tell


@click.command("vocab")
@click.option("--input", "corpus", required=True, type=Path, help="Text of the target language, UTF-8.")
@click.option("--size", type=click.IntRange(4, 10_000_000), help="Pieces to train, <unk> <s> </s> included.")
@click.option("--tokenizer", type=Path, help="Take this SentencePiece model or tokenizer.json instead of training.")
@click.option("--output", required=True, type=Path, help="Directory to make.")
@click.option("--sample-mb", default=256, type=click.IntRange(min=1), help="Train on at most this much of the text.")
@seed_option
@quiet_option
def command(
    corpus: Path, size: int | None, tokenizer: Path | None, output: Path, sample_mb: int, seed: int, quiet: bool
) -> None:
    """Train a SentencePiece vocabulary for the target language, or take a published tokenizer."""
    from focus_plugin.jobs.vocabulary import make_vocabulary, take_vocabulary

    if tokenizer and not size:
        manifest = take_vocabulary(corpus, tokenizer, output, phases(quiet))
    elif size and not tokenizer:
        manifest = make_vocabulary(corpus, size, output, sample_bytes=sample_mb << 20, seed=seed, phase=phases(quiet))
    else:
        raise click.UsageError("Give either --size, to train a vocabulary, or --tokenizer, to take a published one.")
    tell(
        quiet,
        f"{output}: {manifest.counts['pieces']} pieces, {manifest.counts['tokens_per_word']:.3f} tokens per word "
        f"on {manifest.counts['words']:,} words of {corpus}.",
    )
