"""Where a training lives until it is done: a directory beside its output, so that a killed run can go on."""

import shutil
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.manifest import Manifest, read_manifest, write_manifest

LOG = "train.log"


def unfinished(output: Path, manifest: Manifest) -> Path:
    """``OUTPUT.unfinished``, new or with what an interrupted run of the same job left there.

    Raises FocusError if it belongs to another job.
    """
    directory = output.with_name(f"{output.name}.unfinished")
    existing = read_manifest(directory)
    if existing is None:
        if directory.exists():
            shutil.rmtree(directory)
        directory.mkdir(parents=True)
        write_manifest(directory, manifest, {})
    elif not existing.same_content(manifest):
        raise FocusError(
            f"{directory}: an unfinished run with other input or options; repeat that command to finish it, or "
            "remove the directory."
        )
    return directory
