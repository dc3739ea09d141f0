"""The one name of numpy 1 that fairseq still uses: without it its sample break mode ``eos`` fails on numpy 2."""

from types import SimpleNamespace

import numpy as np


def restore_numpy_compat() -> None:
    """Give numpy its ``compat.long`` back, in this process."""
    if "compat" not in vars(np):
        vars(np)["compat"] = SimpleNamespace(long=int)
