"""``focus inspect``"""

from pathlib import Path
from typing import Any

import click
from focus_cli.declared import options_of

from focus_plugin.jobs.inspect_options import ComparedTexts
from focus_plugin.options import build


@click.command("inspect")
@click.argument("directory", type=Path, required=False)
@options_of(ComparedTexts)
def command(directory: Path | None, **options: Any) -> None:
    """Show the content of a directory, what it was made from, and with which versions.

    DIRECTORY: A directory made by any command, or an encoder checkpoint.

    It warns of texts that are both in the training file and in the validation or test file. With --train, --valid and
    --test, it compares files from which no directory was made yet.
    """
    from focus_plugin.jobs.inspect import compare_texts, describe_directory

    texts = build(ComparedTexts, options)
    if bool(directory) == bool(texts.train):
        raise click.UsageError("Give a directory, or texts to compare: --train with --valid or --test.")
    if directory and (texts.valid or texts.test or texts.text_column):
        raise click.UsageError("--valid, --test and --text-column are for --train, not for a directory.")
    if texts.train and not (texts.valid or texts.test):
        raise click.UsageError("Give --valid or --test to compare --train with.")
    for line in describe_directory(directory) if directory else compare_texts(texts):
        click.echo(line)
