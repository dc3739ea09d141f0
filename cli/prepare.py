"""``focus prepare``"""

from pathlib import Path

import click
from focus_cli.common import phases, quiet_option, tell


@click.command("prepare")
@click.option("--vocab", required=True, type=Path, help="Directory made by focus vocab or focus convert.")
@click.option("--train", required=True, type=Path, help="Text to train on, UTF-8.")
@click.option("--valid", required=True, type=Path, help="Text to validate on, UTF-8.")
@click.option("--output", required=True, type=Path, help="Directory to make, for fairseq-train and focus train.")
@quiet_option
def command(vocab: Path, train: Path, valid: Path, output: Path, quiet: bool) -> None:
    """Encode text for masked-LM training with fairseq."""
    from focus_plugin.jobs.prepare import prepare

    counts = prepare(vocab, train, valid, output, phases(quiet)).counts
    for split, found in counts.items():
        unknown = 100 * found["unknown"] / found["tokens"]
        tell(quiet, f"{output}/{split}: {found['lines']:,} lines, {found['tokens']:,} tokens, {unknown:.2f} % unknown.")
