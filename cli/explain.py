"""``focus explain``"""

from pathlib import Path

import click


@click.command("explain")
@click.argument("matrix", type=Path)
@click.argument("tokens", nargs=-1, required=True)
def command(matrix: Path, tokens: tuple[str, ...]) -> None:
    """Show what the embeddings of target tokens were made from.

    MATRIX: A directory made by focus convert, or the mixing matrix in it.

    TOKENS: Tokens of the target vocabulary; those that begin a word start with ▁ (U+2581).
    """
    from focus_plugin.jobs.explain import explain

    for line in explain(matrix, tokens):
        click.echo(line)
