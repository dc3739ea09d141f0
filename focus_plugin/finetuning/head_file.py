"""Finding the head of a model directory: everything about it but its tensors is in ``head.json``."""

from pathlib import Path

from focus_export.head import ServingHead
from focus_export.served_heads import HEADS, head_from_json, head_to_json

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.files import parse_json, write_json
from focus_plugin.finetuning.discovery import all_tasks
from focus_plugin.finetuning.kept_head import KeptHead, kept_head

HEAD_FILE = "head.json"
_VERSION = 1


def write_head(path: Path, head: ServingHead, prefix: str) -> None:
    """Write ``head.json``."""
    write_json(path, {"version": _VERSION, **head_to_json(head), "tensors": prefix})


def read_head_file(path: Path) -> tuple[ServingHead, str]:
    """The head in a ``head.json``, and the prefix of its tensors. Raises FocusError if the file is damaged."""
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FocusError(f"{path}: not valid JSON ({error}).") from error
    if not isinstance(values, dict) or values.get("version") != _VERSION or not isinstance(values.get("tensors"), str):
        raise FocusError(
            f'{path}: is not a head.json with "version" {_VERSION}, "head" and "tensors", as this program writes it.'
        )
    try:
        return head_from_json(values), values["tensors"]
    except FocusError as error:
        raise FocusError(f"{path}: {error}") from error


def read_kept_head(model: Path, checkpoint: Checkpoint) -> KeptHead | None:
    """The head of a model directory, or None if it is an encoder without one.

    The head is described by ``head.json`` or, without this file, found by a task. Raises FocusError if its tensors are
    missing, or if there are tensors of a head that no task knows.
    """
    if (path := model / HEAD_FILE).is_file():
        kept = kept_head(*read_head_file(path), checkpoint)
        if kept.prefix and not kept.tensors:
            raise FocusError(f"{path}: the model beside it has no tensors that begin with {kept.prefix!r}.")
        return kept
    if not checkpoint.task_heads:
        return None
    for task in all_tasks():
        if task.find and (found := task.find(model, checkpoint)):
            return found
    raise FocusError(
        f"{model}: has tensors of a head, such as {next(iter(checkpoint.task_heads))}, but no {HEAD_FILE} that says "
        "what they are for."
    )


def head_for_encoders() -> type[ServingHead]:
    """The class of the head for encoders that have none."""
    kinds = [HEADS.find(name).declaration for name in HEADS.names()]
    return next(kind for kind in kinds if kind.for_encoder)


def head_files(model: Path) -> list[Path]:
    """The files beside ``model.pt`` that may describe its head, for the manifest."""
    names = (HEAD_FILE, *(name for task in all_tasks() for name in task.found_in))
    return [path for name in names if (path := model / name).is_file()]
