"""``focus inspect``"""

from pathlib import Path

import click


@click.command("inspect")
@click.argument("directory", type=Path)
def command(directory: Path) -> None:
    """Say what a directory holds, what it was made from, and with which versions."""
    from focus_plugin.jobs.inspect import describe_directory

    for line in describe_directory(directory):
        click.echo(line)
