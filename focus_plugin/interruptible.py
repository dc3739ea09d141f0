"""Runs long C++ computations so that they can be interrupted by Ctrl-C and SIGTERM."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def interruptible(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread, wait for it, and return or raise what it returns or raises.

    Python handles signals only in the main thread, and only between Python instructions. If C++ code runs there for an
    hour, signals are handled after an hour. After an interruption, ``work`` continues in its thread until the process
    ends.
    """
    future: Future[T] = Future()

    def run() -> None:
        """Keep the result or the error of ``work``, which may be any, for the waiting thread."""
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result()
