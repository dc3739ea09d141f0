"""How fast this machine is, measured in about a second; and the memory of a process before it has any data."""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PLAIN_PROCESS = 60_000_000  # bytes of a process that has imported NumPy, SciPy, SentencePiece and ONNX Runtime
_CUDA_LIBRARIES = 750_000_000  # bytes of those files of PyTorch's build for CUDA that are mapped, also without a GPU
_STARTED = time.perf_counter()  # the command line imports this module first
_SECONDS = 0.15  # for each rate
_COPIED = 1 << 26
_WRITTEN = 1 << 25


@dataclass(frozen=True, kw_only=True)
class Rates:
    """elapsed: seconds since the command started, in which it has read its input. copy: bytes a second in memory, by
    one core. write: bytes a second to the disk of the output."""

    elapsed: float
    copy: float
    write: float


def measure_rates(place: Path) -> Rates:
    """Measure this machine, and the disk of ``place``, an existing directory, in which no file is left."""
    import numpy as np

    elapsed = time.perf_counter() - _STARTED
    source, target = np.zeros(_COPIED, np.uint8), np.zeros(_COPIED, np.uint8)
    return Rates(
        elapsed=elapsed,
        copy=_COPIED / seconds_of(lambda: np.copyto(target, source)),
        write=_WRITTEN / seconds_of(lambda: _write(place)),
    )


def torch_process() -> int:
    """Bytes of a process that has imported PyTorch and used it once."""
    return 380_000_000 + cuda_libraries()


def fairseq_process() -> int:
    """Bytes of a process that has imported fairseq and used it once."""
    return 450_000_000 + cuda_libraries()


def cuda_libraries() -> int:
    """Bytes of the libraries for CUDA in a process that has imported PyTorch."""
    import torch

    return _CUDA_LIBRARIES if torch.version.cuda else 0


def seconds_of(work: Callable[[], object], enough: float = _SECONDS) -> float:
    """Seconds that ``work`` takes: the mean of as many runs as fit into ``enough`` seconds after a first one.

    If the first takes longer than that, its own.
    """
    started = time.perf_counter()
    work()
    first = time.perf_counter()
    runs = 0
    while time.perf_counter() - started < enough:
        work()
        runs += 1
    return (time.perf_counter() - first) / runs if runs else first - started


def _write(place: Path) -> None:
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(bytes(_WRITTEN))
        file.flush()
        os.fsync(file.fileno())
