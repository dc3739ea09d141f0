"""What every method yields: how each target row is made of source rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Block:
    """Some rows of the mixing matrix. rows: target ids, shape (n,). weights: (n, source tokens), rows sum to 1."""

    rows: np.ndarray
    weights: csr_matrix


@dataclass(frozen=True)
class Mixing:
    """A mixing matrix, in parts.

    copied: shape (target,), the source id whose row a target token keeps as it is, or -1. blocks: the rows that
    are mixtures, made as they are asked for, so that they need never stand in memory together. A target token in
    neither has no mixture and is filled.
    """

    copied: np.ndarray
    blocks: Iterator[Block]
