"""How long-running work reports its progress: phases with a label and a total, and the amounts done in each."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TypeVar

from focus_plugin.files import Progress, silent

Phase = Callable[[str, int], AbstractContextManager[Progress]]
_Item = TypeVar("_Item")

_SHORT = 2.0  # seconds


def no_phase(label: str, total: int) -> AbstractContextManager[Progress]:
    """A phase that reports nothing, the default."""
    return nullcontext(silent)


@contextmanager
def phase_if_slow(phase: Phase, label: str, total: int) -> Iterator[Progress]:
    """A phase that begins only if it takes more than two seconds."""
    begun, told = time.monotonic(), 0
    shown: Progress | None = None
    with ExitStack() as stack:

        def tell(count: int) -> None:
            """Report ``count``, and at the beginning of the phase everything before it."""
            nonlocal shown, told
            told += count
            if shown is None and time.monotonic() - begun > _SHORT:
                shown = stack.enter_context(phase(label, total))
            if shown is not None:
                shown(told)
                told = 0

        yield tell


def spread(amount: int, items: Sequence[_Item], progress: Progress) -> Iterator[_Item]:
    """Yield the items; before each, ``progress`` is told of its share of ``amount``."""
    for number, item in enumerate(items):
        progress(amount * (number + 1) // len(items) - amount * number // len(items))
        yield item


def half_of(progress: Progress) -> Progress:
    """A progress that passes on half of what it is told, for two parts that are each told of everything."""
    told = 0

    def tell(count: int) -> None:
        nonlocal told
        progress((told + count) // 2 - told // 2)
        told += count

    return tell
