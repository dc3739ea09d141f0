"""Making the next items while one is used."""

import threading
from collections.abc import Generator, Iterable
from queue import Queue
from typing import Any, TypeVar

Item = TypeVar("Item")
# Seconds that closing waits for the thread's last item: a thread that is in C++ when Python ends aborts the process.
LAST_ITEM = 2


def ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """Yield ``items``, which a thread makes ahead: one lies ready while it is at the next.

    An exception of ``items`` is raised here, after all that came before it. When this generator is closed, the thread
    ends once it has the item it is at; it is a daemon, and not waited for long, since that item may be a line that
    nobody ever writes.
    """
    ready: Queue[tuple[Item] | BaseException | None] = Queue(maxsize=1)
    closed = threading.Event()

    def take() -> None:
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
        _drop(ready)  # for the thread may wait for room
        thread.join(LAST_ITEM)
        _drop(ready)  # for an error keeps alive all that it came from


def _drop(ready: Queue[Any]) -> None:
    while not ready.empty():
        ready.get_nowait()
