"""How long-running work reports its progress: phases with a label and a total, and the amounts done in each."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from focus_plugin.files import Progress, silent

Phase = Callable[[str, int], AbstractContextManager[Progress]]


def no_phase(label: str, total: int) -> AbstractContextManager[Progress]:
    """A phase that reports nothing, the default."""
    return nullcontext(silent)


def half_of(progress: Progress) -> Progress:
    """A progress that passes on half of what it is told, for two parts that are each told of everything."""
    told = 0

    def tell(count: int) -> None:
        nonlocal told
        progress((told + count) // 2 - told // 2)
        told += count

    return tell
