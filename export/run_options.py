"""How a served model is run, as options of the command line and of Python."""

from dataclasses import dataclass

from focus_plugin.errors import FocusError
from focus_plugin.options import option


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a model runs.

    On a CPU, ``threads`` cores are used by ``workers`` batches that run at once, a core each unless given: that is
    faster than all cores on one batch, but a single text then has one core, so give 1 where texts come one by one. A
    GPU runs one batch at a time. A batch has at most ``token_budget`` tokens, padding included.
    """

    truncate: bool = option(False, help="Cut texts longer than the model reads, instead of refusing them.")
    provider: str = option(
        "auto",
        choices=("auto", "cpu", "cuda", "tensorrt"),
        help="Where to run; auto: CUDA where it starts, else the CPU.",
    )
    require_gpu: bool = option(False, help="Refuse to run on the CPU.")
    threads: int | None = option(None, minimum=1, help="Cores to use on a CPU; by default all.")
    token_budget: int | None = option(
        None, flag="batch-tokens", minimum=1, help="Most tokens of a batch; by default 512 on a CPU, 8,192 on a GPU."
    )
    workers: int | None = None

    def __post_init__(self) -> None:
        """Raise FocusError for a number below 1."""
        for name in ("threads", "workers", "token_budget"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise FocusError(f"{name} is {number}; it has to be at least 1.")
