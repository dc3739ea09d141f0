"""Computes the next items of an iterator in a thread while the current one is used."""

import threading
from collections.abc import Generator, Iterable
from queue import Queue
from typing import Any, TypeVar

T = TypeVar("T")
# Closing waits at most this many seconds for the thread, because the process aborts if Python ends during C++ code.
LAST_ITEM = 2


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """Yield ``items``. A thread computes them: one finished item waits while the thread computes the next one.

    An exception of ``items`` is raised here after all earlier items. When this generator is closed, the thread ends
    after its current item. Closing waits only for LAST_ITEM seconds, since that item may be a line that never arrives.
    """
    ready: Queue[tuple[T] | BaseException | None] = Queue(maxsize=1)
    closed = threading.Event()

    def take() -> None:
        """Put the items in the queue, then the end or the exception."""
        try:
            for item in items:
                ready.put((item,))
                if closed.is_set():
                    return
        except BaseException as error:
            ready.put(error)
        else:
            ready.put(None)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        while isinstance(entry := ready.get(), tuple):
            yield entry[0]
        if entry is not None:
            raise entry
    finally:
        closed.set()
        _drop(ready)  # the thread may be waiting for room in the queue
        thread.join(LAST_ITEM)
        _drop(ready)  # the traceback of an exception would keep objects in memory


def _drop(ready: Queue[Any]) -> None:
    while not ready.empty():
        ready.get_nowait()
