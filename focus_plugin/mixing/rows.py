"""The product of a method that makes rows themselves, with the source model's help, rather than mixing weights."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Learned rows of some target tokens.

    copied: shape (target,), the source id whose row a target token keeps as it is, or -1. ids: (n,), the target ids of
    the learned rows, no two alike and none of them copied. embedding: (n, width), their input embeddings.
    output_embedding: (n, width), for encoders whose output embedding is not tied to the input; without it, these rows
    are filled there. bias: (n,), of the masked-LM head; without it, the mean of the source's. All float32, on the
    CPU. A target token that is neither copied nor learned is filled.
    """

    copied: np.ndarray
    ids: np.ndarray
    embedding: Tensor
    output_embedding: Tensor | None = None
    bias: Tensor | None = None
