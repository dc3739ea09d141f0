"""Where a training lives until it is done: a directory beside its output, so that a killed run can go on."""

import shutil
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.manifest import Manifest, read_manifest, write_manifest
from focus_plugin.training import LAST

LOG = "train.log"
UNFINISHED = ".unfinished"


def unfinished(output: Path, manifest: Manifest) -> Path:
    """``OUTPUT.unfinished``, new or with what an interrupted run of the same job left there.

    Raises FocusError if it holds a checkpoint of another job.
    """
    directory = output.with_name(f"{output.name}{UNFINISHED}")
    existing = read_manifest(directory)
    if existing is not None and existing.same_content(manifest):
        return directory
    if (directory / LAST).exists():
        raise FocusError(
            f"{directory}: an unfinished run with other input or options; repeat that command to finish it, or "
            "remove the directory."
        )
    if existing is None and directory.exists() and any(directory.iterdir()):
        raise FocusError(f"{directory}: holds files this program did not write; it needs this place for itself.")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    write_manifest(directory, manifest, {})
    return directory
