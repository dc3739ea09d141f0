"""Tables of a task as training samples."""

from functools import partial
from pathlib import Path
from typing import Any

from fairseq_models import CONFIG, World

from focus_plugin.binary_data import Encoder
from focus_plugin.finetuning.declaration import Preparation, Prepared, TaskHead, table_examples
from focus_plugin.finetuning.tokenizer import release_tokenizer


def write_table(path: Path, *lines: str) -> Path:
    """Write a table of these lines."""
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def prepared_tables(
    task: TaskHead, world: World, directory: Path, tables: tuple[Path, Path], columns: Any = None, **options: object
) -> tuple[Path, Prepared]:
    """Prepare a training and a validation table for a world's encoder, in the new ``directory / "data"``."""
    data, encoder = directory / "data", Encoder.load(world.source)
    data.mkdir()
    assert task.finetuning
    train, valid = ((table,) for table in tables)
    chosen = task.finetuning.options(model=world.source, train=train, valid=valid, **options)
    given = Preparation(
        directory=data,
        model=world.source,
        encoder=encoder,
        tokenizer=release_tokenizer(world.source, encoder, CONFIG.max_positions),
        max_positions=CONFIG.max_positions,
        tables=chosen.tables,
        examples=partial(table_examples, task, columns=columns or task.columns()),
        options=chosen,
    )
    return data, task.finetuning.prepare(given)
