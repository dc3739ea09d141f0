"""Every option that reads text or a table takes several files, patterns and compressed files."""

import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from focus_cli.declared import click_option
from focus_cli.main import main

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import table_examples
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.heads.classification import ClassificationColumns
from focus_plugin.mixing.discovery import METHODS
from focus_plugin.text import Text
from focus_plugin.transfer.options import method_options

DIRECTORIES = {"data", "directory", "--vocab", "--source", "--model", "--init"}
OUTPUTS = {"--output", "--errors", "--report"}
NOT_TEXT = {
    "matrix": "the mixing matrix, for focus explain",
    "--matrix": "a mixing matrix",
    "--tokenizer": "a model of SentencePiece or a tokenizer.json",
    "--auxiliary": "vectors",
    "--word-vectors": "vectors",
    "--source-words": "vectors",
    "--target-words": "vectors",
    "--multilingual-vectors": "vectors",
    "--hypernet": "the directory or file of a network",
}


def _files(command: click.Command, context: click.Context) -> Iterator[click.Parameter]:
    """The parameters of a command, and of all commands below it, whose values are files or directories."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            yield from _files(found, click.Context(found, info_name=name, parent=context))
    yield from (entry for entry in command.get_params(context) if getattr(entry.type, "func", None) is Path)


def test_an_option_that_reads_text_takes_several_files() -> None:
    """A new option for a file has to take several, or must be listed above."""
    found = list(_files(main, click.Context(main)))
    found += [click_option(entry) for method in METHODS.shipped() for entry in method_options(method)]
    found = [entry for entry in found if getattr(entry.type, "func", None) is Path]
    one = {(entry.opts or [entry.name])[0] for entry in found if not entry.multiple}
    several = {entry.opts[0] for entry in found if entry.multiple}
    assert one == DIRECTORIES | OUTPUTS | NOT_TEXT.keys()
    assert {"--corpus", "--table", "--valid", "--test", "--dictionary", "--alignment"} < several


def test_a_table_is_several_files(tmp_path: Path) -> None:
    """They are read one after the other, and a fault is reported with the file that it is in."""
    rows = [(f"l{number % 2}", f"text {number}") for number in range(6)]
    parts = ("a.tsv", slice(0, 2), open), ("b.tsv.gz", slice(2, 4), gzip.open), ("c.tsv.xz", slice(4, 6), lzma.open)
    for name, part, opener in parts:
        with opener(tmp_path / name, "wt", encoding="utf-8") as file:
            file.writelines(f"{label}\t{text}\n" for label, text in [("label", "text"), *rows[part]])
    found = list(table_examples(find_task("classification"), Text.of(tmp_path / "*.tsv*"), ClassificationColumns()))
    assert [(example.expected, example.sample) for example in found] == rows
    assert [example.place_in(3) for example in found][1:4] == ["a.tsv, line 3", "b.tsv.gz, line 2", "b.tsv.gz, line 3"]
    (tmp_path / "d.tsv").write_text("label\ttext\nl0\n")
    with pytest.raises(FocusError, match=r"d\.tsv, line 2: 1 columns"):
        list(
            table_examples(
                find_task("classification"), Text.of(tmp_path / "a.tsv", tmp_path / "d.tsv"), ClassificationColumns()
            )
        )
