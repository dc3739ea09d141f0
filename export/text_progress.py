"""How a run over texts reports its progress: phases with a label and a size, and the texts and bytes done in each."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

# Called with the number of texts and of bytes that were done since the last call.
TextProgress = Callable[[int, int], object]
# Called with a label and the size in bytes, None if it is unknown.
TextPhase = Callable[[str, int | None], AbstractContextManager[TextProgress]]


def no_text_phase(label: str, size: int | None) -> AbstractContextManager[TextProgress]:
    """A phase that reports nothing, the default."""
    return nullcontext(lambda texts, size: None)
