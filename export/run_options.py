"""The options for running an exported model, on the command line and in Python."""

from dataclasses import dataclass

from focus_plugin.errors import FocusError
from focus_plugin.options import option


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a model runs.

    On a CPU, ``workers`` batches run at once on ``threads`` cores. By default each batch has one core, which is faster
    than all cores for one batch. But then a single text runs on one core, so if texts arrive one by one, ``workers=1``
    is faster. A GPU runs one batch at a time. A batch has at most ``token_budget`` tokens, padding included.
    """

    truncate: bool = option(False, help="Cut texts that are too long for the model, instead of refusing them.")
    provider: str = option(
        "auto",
        choices=("auto", "cpu", "cuda", "tensorrt", "openvino"),
        help="Where to run; auto: CUDA if it starts, else the CPU. openvino is OpenVINO on the CPU.",
    )
    require_gpu: bool = option(False, help="Stop with an error if there is no GPU.")
    threads: int | None = option(None, minimum=1, help="Number of CPU cores to use; by default all.")
    token_budget: int | None = option(
        None,
        minimum=1,
        help="Largest number of tokens in a batch; by default 512 on a CPU, 8,192 on a GPU.",
    )
    workers: int | None = None

    def __post_init__(self) -> None:
        """Raise FocusError for a number below 1."""
        for name in ("threads", "workers", "token_budget"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise FocusError(f"{name} is {number}; it must be at least 1.")
