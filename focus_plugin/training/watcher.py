"""Who is shown how a training goes."""

from collections.abc import Callable
from dataclasses import dataclass

from focus_plugin.progress import Phase, no_phase
from focus_plugin.training.log import TrainingStep


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Called with the phases of a job, the command it runs, and the steps of the training; by default nobody is."""

    phase: Phase = no_phase
    command: Callable[[list[str]], object] = lambda command: None
    step: Callable[[TrainingStep], object] = lambda step: None
