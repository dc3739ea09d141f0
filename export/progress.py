"""How a run over texts tells of itself: phases with a label and a size, of which texts and bytes get done."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

# Told the texts and the bytes that were done since its last call.
Progress = Callable[[int, int], object]
# Of a label and a size in bytes, None where that is not known.
Phase = Callable[[str, int | None], AbstractContextManager[Progress]]


def no_phase(label: str, size: int | None) -> AbstractContextManager[Progress]:
    """The phases of whoever does not want to be told."""
    return nullcontext(lambda texts, size: None)
