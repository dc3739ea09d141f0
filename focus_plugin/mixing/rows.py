"""The result of a method that uses the source model to make embedding rows, instead of mixing weights."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Learned rows of some target tokens.

    copied: shape (target,), the source id whose row is copied for a target token, or -1. ids: (n,), the target ids of
    the learned rows, all different and none of them copied. embedding: (n, width), their input embeddings.
    output_embedding: (n, width), for encoders whose output embedding is not tied to the input embedding; if None, these
    rows are filled there. bias: (n,), the bias of the masked-LM head; if None, it is the mean of the source's bias. All
    tensors are float32 and on the CPU. A target token that is neither copied nor learned is filled.
    """

    copied: np.ndarray
    ids: np.ndarray
    embedding: Tensor
    output_embedding: Tensor | None = None
    bias: Tensor | None = None
