"""Restores ``numpy.compat.long``, which numpy 2 lacks and fairseq's sample break mode ``eos`` needs."""

from types import SimpleNamespace

import numpy as np


def restore_numpy_compat() -> None:
    """Define ``numpy.compat.long`` in this process if it is missing."""
    if "compat" not in vars(np):
        vars(np)["compat"] = SimpleNamespace(long=int)
