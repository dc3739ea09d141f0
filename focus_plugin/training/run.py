"""Runs ``fairseq-train`` to its end, from the beginning or resumed."""

from collections.abc import Callable, Sequence
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.training.checkpoints import BEST, mend_checkpoints, updates_done
from focus_plugin.training.log import TrainingStep, read_step, stopped_early
from focus_plugin.training.process import run_logged
from focus_plugin.training.words import last_setting

_DONE = "done training in"  # in fairseq's log


def run_training(command: Sequence[str], log: Path, progress: Callable[[TrainingStep], object], *locks: int) -> None:
    """Run a ``fairseq-train`` command, append its output to ``log`` and report the steps it logs.

    A training that was killed resumes from its last checkpoint, unless it was done. ``locks``: file descriptors that
    fairseq-train inherits, because it continues if only its parent process is killed. Raises FocusError if the command
    fails or writes no best checkpoint.
    """
    updates, save_dir = _end_of(command)
    if not is_done(command, log):
        try:
            for line in run_logged(command, log, *locks):
                if step := read_step(line, updates):
                    progress(step)
        except FocusError:
            # fairseq's thread that reads ahead can abort the process after the training is done
            if not is_done(command, log):
                raise
    if not (save_dir / BEST).is_file():
        raise FocusError(f"{save_dir}: fairseq-train wrote no {BEST}; its log is {log}.")


def run_rank(command: Sequence[str]) -> None:
    """Run the ``fairseq-train`` command of a rank other than 0, which writes no files.

    Raises FocusError if the command fails.
    """
    done = False
    try:
        for line in run_logged(command, None):
            done |= _DONE in line
    except FocusError:
        if not done:  # else rank 0 ended first and closed the connection
            raise


def is_done(command: Sequence[str], log: Path) -> bool:
    """Whether the training has its last checkpoint, which is mended if a killed run left it unfinished."""
    updates, save_dir = _end_of(command)
    mend_checkpoints(save_dir)
    return updates_done(save_dir) >= updates or stopped_early(log)


def _end_of(command: Sequence[str]) -> tuple[int, Path]:
    """The number of updates of a training, and the directory of its checkpoints."""
    updates, save_dir = last_setting(command, "--max-update", int), last_setting(command, "--save-dir", Path)
    assert updates is not None
    assert save_dir is not None
    return updates, save_dir
