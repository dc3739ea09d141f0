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


def mend_checkpoints(save_dir: Path) -> None:
    """Replace a last or best checkpoint that a killed run left unfinished.

    fairseq writes one file atomically, a numbered checkpoint or else the best one, and then copies it to the others,
    which can be cut off.
    """
    for cut_off in (save_dir / name for name in (BEST, LAST)):
        written = [path for path in (*save_dir.glob("checkpoint_*_*.pt"), save_dir / BEST) if is_zipfile(path)]
        if cut_off.exists() and not is_zipfile(cut_off) and written:
            with whole_file(cut_off) as path:
                shutil.copyfile(max(written, key=lambda found: found.stat().st_mtime), path)
