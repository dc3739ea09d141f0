"""Options of all trainings, each as a field of the dataclass that declares the options of one command."""

from typing import Any

from focus_plugin.options import option


def learning_rate_option(default: float) -> Any:
    """The field ``learning_rate: float``."""
    return option(default, flag="lr", minimum=0, help="Learning rate at its peak.")


def cpu_option() -> Any:
    """The field ``cpu: bool``."""
    return option(False, help="Use the CPU even if there is a GPU.")


def seed_option() -> Any:
    """The field ``seed: int``."""
    return option(1, minimum=0, maximum=2**31 - 1, help="Random seed.")
