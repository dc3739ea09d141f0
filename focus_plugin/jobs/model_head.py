"""Finds the head for the export of a model directory, and gives it the user's options."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from focus_plugin.checkpoint.checkpoint import Checkpoint, first_layers
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.head_file import head_for_encoders, read_kept_head
from focus_plugin.finetuning.kept_head import KeptHead
from focus_plugin.forecast.export import ExportWork
from focus_plugin.options import declared
from focus_plugin.vocabulary.files import vocabulary_files


def model_head(model: Path, checkpoint: Checkpoint, given: Mapping[str, Any]) -> tuple[Checkpoint, KeptHead]:
    """What is exported of a model: its encoder, with the layers that its head reads, and the head.

    If the model has none, it is the head for encoders. The head has its options among ``given``. Raises FocusError as
    :func:`read_kept_head`, and for options of other tasks or that do not fit the encoder.
    """
    kept = read_kept_head(model, checkpoint) or KeptHead(head_for_encoders()())
    kind = type(kept.head)
    own = {entry.name for entry in declared(kind)}
    columns = {entry.name for entry in declared(find_task(kind.name).columns)}
    if strange := [name for name in given if name not in own | columns]:
        raise FocusError(
            f"{model}: is a model for {kind.name}, which has no option --{strange[0].replace('_', '-')}; leave it out."
        )
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # its classes are dataclasses
    head: Any = kept.head
    chosen = replace(head, **{name: value for name, value in given.items() if name in own & known})
    if fault := chosen.fault() or chosen.misfit(checkpoint.config.width, checkpoint.config.layers):
        raise FocusError(f"{model}: {fault}.")
    return first_layers(checkpoint, chosen.encoder_layers), replace(kept, head=chosen)


def export_work(model: Path, checkpoint: Checkpoint, kept: KeptHead) -> ExportWork:
    """The amount of work of an export, for a forecast."""
    return ExportWork(
        config=checkpoint.config,
        tokens=len(checkpoint.vocabulary),
        tokenizer=vocabulary_files(model)[1],
        head=sum(tensor.nbytes for tensor in kept.tensors.values()),
    )
