"""Callbacks that report the progress of a training."""

from collections.abc import Callable
from dataclasses import dataclass

from focus_plugin.progress import Phase, no_phase
from focus_plugin.training.log import TrainingStep


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """phase: for each phase of a job. command: called with the command that is run. step: called with each step.

    By default they do nothing.
    """

    phase: Phase = no_phase
    command: Callable[[list[str]], object] = lambda command: None
    step: Callable[[TrainingStep], object] = lambda step: None
