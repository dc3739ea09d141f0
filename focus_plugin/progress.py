"""How long-running work reports its progress: phases with a label and a total, and the amounts done in each."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from focus_plugin.files import Progress, silent

Phase = Callable[[str, int], AbstractContextManager[Progress]]


def no_phase(label: str, total: int) -> AbstractContextManager[Progress]:
    """A phase that reports nothing, the default."""
    return nullcontext(silent)
