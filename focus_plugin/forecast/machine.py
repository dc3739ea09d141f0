"""How fast this machine is: measured in about a second, on work like that of the commands."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OWN_PROCESS = 340_000_000  # bytes of a command that has imported torch
_SECONDS = 0.15  # for each rate
_HASHED = 1 << 24
_COPIED = 1 << 26
_WRITTEN = 1 << 25
_WIDTH = 512


@dataclass(frozen=True, kw_only=True)
class Rates:
    """multiply: floating-point operations a second in products of float32 matrices, on all cores. copy: bytes a second
    that one core copies in memory. digest: bytes a second of SHA-256. write: bytes a second to the output's disk."""

    multiply: float
    copy: float
    digest: float
    write: float


def measure_rates(place: Path) -> Rates:
    """Measure this machine, and the disk of ``place``, an existing directory; leaves nothing there."""
    import numpy as np
    import torch

    matrix = torch.ones(_WIDTH, _WIDTH)
    source, target = np.zeros(_COPIED, np.uint8), np.zeros(_COPIED, np.uint8)
    content = bytes(_HASHED)
    return Rates(
        multiply=2 * _WIDTH**3 / seconds_of(lambda: matrix @ matrix),
        copy=_COPIED / seconds_of(lambda: np.copyto(target, source)),
        digest=_HASHED / seconds_of(lambda: hashlib.sha256(content).digest()),
        write=_WRITTEN / seconds_of(lambda: _write(place)),
    )


def seconds_of(work: Callable[[], object], enough: float = _SECONDS) -> float:
    """How long ``work`` takes: the shortest of the runs after the first that fit into ``enough`` seconds."""
    started = time.perf_counter()
    work()
    shortest = time.perf_counter() - started
    while time.perf_counter() - started < enough:
        before = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - before)
    return shortest


def _write(place: Path) -> None:
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(bytes(_WRITTEN))
        file.flush()
        os.fsync(file.fileno())
