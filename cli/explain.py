"""``focus explain``"""

from pathlib import Path

import click


@click.command("explain")
@click.argument("matrix", type=Path)
@click.argument("tokens", nargs=-1, required=True)
def command(matrix: Path, tokens: tuple[str, ...]) -> None:
    """Say which source tokens the target's TOKENS are made of.

    MATRIX: what focus convert made, or the mixing matrix in it.
    """
    from focus_plugin.jobs.explain import explain

    for line in explain(matrix, tokens):
        click.echo(line)
