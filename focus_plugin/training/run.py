"""One run of ``fairseq-train``, new or resumed, to its end."""

from collections.abc import Callable, Sequence
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.training.checkpoints import BEST, mend_last_checkpoint, updates_done
from focus_plugin.training.log import TrainingStep, read_step
from focus_plugin.training.process import run_logged
from focus_plugin.training.words import last_setting


def run_training(command: Sequence[str], log: Path, progress: Callable[[TrainingStep], object], *locks: int) -> None:
    """Run a ``fairseq-train`` command, append its output to ``log`` and report the steps it logs.

    A run that was killed resumes from its last checkpoint, unless that was the end. ``locks``: file descriptors that
    fairseq-train inherits, since it lives on where only its parent is killed. Raises FocusError if the command fails
    or leaves no best checkpoint.
    """
    updates, save_dir = last_setting(command, "--max-update", int), last_setting(command, "--save-dir", Path)
    assert updates is not None
    assert save_dir is not None
    mend_last_checkpoint(save_dir)
    if updates_done(save_dir) < updates:
        try:
            for line in run_logged(command, log, *locks):
                if step := read_step(line, updates):
                    progress(step)
        except FocusError:
            # a process that is done can still be aborted by fairseq's thread that reads ahead
            mend_last_checkpoint(save_dir)
            if updates_done(save_dir) < updates:
                raise
    if not (save_dir / BEST).is_file():
        raise FocusError(f"{save_dir}: fairseq-train has ended without a {BEST}; what it said is in {log}.")
