"""The checkpoints that ``fairseq-train`` keeps in its directory."""

import shutil
from pathlib import Path
from zipfile import is_zipfile

from focus_plugin.files import whole_file

BEST, LAST = "checkpoint_best.pt", "checkpoint_last.pt"


def updates_done(save_dir: Path) -> int:
    """The number of updates of the last checkpoint in ``save_dir``; 0 if there is none."""
    from focus_plugin.checkpoint.weights import load_pickled  # which is slow to import

    last = save_dir / LAST
    return int(load_pickled(last)["optimizer_history"][-1]["num_updates"]) if last.is_file() else 0


def mend_last_checkpoint(save_dir: Path) -> None:
    """Replace a last checkpoint that a killed run left unfinished.

    fairseq writes a numbered checkpoint atomically, but then copies it to ``checkpoint_last.pt``, which can be cut off.
    """
    last = save_dir / LAST
    whole = [path for path in save_dir.glob("checkpoint_*_*.pt") if is_zipfile(path)]
    if last.exists() and not is_zipfile(last) and whole:
        with whole_file(last) as path:
            shutil.copyfile(max(whole, key=lambda found: found.stat().st_mtime), path)
