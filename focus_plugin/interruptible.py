"""Long work in another language's code that still heeds Ctrl-C and a termination."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def interruptible(work: Callable[[], Result]) -> Result:
    """What ``work`` returns or raises, run in a thread while the caller waits.

    Python handles signals in the main thread alone, and there only between steps of its own: in C++ that trains for
    an hour they would wait for an hour. ``work`` that was interrupted goes on in its thread until the process ends.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result()
