"""Progress of a run over texts: phases with a label and a size, and in each the texts and bytes that get done."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

# Called with the texts and the bytes that were done since its last call.
TextProgress = Callable[[int, int], object]
# Of a label and a size in bytes, None where that is not known.
TextPhase = Callable[[str, int | None], AbstractContextManager[TextProgress]]


def no_text_phase(label: str, size: int | None) -> AbstractContextManager[TextProgress]:
    """Default, shows nothing."""
    return nullcontext(lambda texts, size: None)
