"""How long-running work tells of itself: phases with a label and a total, of which amounts get done."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from focus_plugin.files import Progress, silent

Phase = Callable[[str, int], AbstractContextManager[Progress]]


def no_phase(label: str, total: int) -> AbstractContextManager[Progress]:
    """The phases of whoever does not want to be told."""
    return nullcontext(silent)
