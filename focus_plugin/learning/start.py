"""The encoder from which a training of rows starts."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import Tensor

from focus_plugin.checkpoint.names import OUTPUT_BIAS
from focus_plugin.files import silent
from focus_plugin.learning.encoder import RowEncoder
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.discovery import find_method
from focus_plugin.options import build
from focus_plugin.transfer.apply import apply
from focus_plugin.transfer.calibration import Calibration, calibrated_bias

CALIBRATED = 16_384  # tokens that the model reads to fit the bias


def row_encoder(given: Given, start: str, text: np.ndarray) -> RowEncoder:
    """The source encoder with the rows of the method ``start`` and an output bias that is fitted to ``text``.

    The method has those of ``given.options`` that it shares, and otherwise default options. ``text``: target token ids.
    """
    assert given.model is not None
    method, model = find_method(start).declaration, given.model
    options = build(method.options, vars(given.options))
    made = method.make(replace(given, options=options, progress=silent))
    tensors = apply(model.tensors, made, seed=given.seed, device=given.device).tensors
    how = Calibration(
        tokens=CALIBRATED, kept=np.zeros(len(given.target), dtype=bool), seed=given.seed, device=given.device
    )
    tensors[OUTPUT_BIAS] = calibrated_bias(model.config, tensors, given.target, text, how)
    return new_row_encoder(given, tensors, made.copied)


def new_row_encoder(given: Given, tensors: Mapping[str, Tensor], copied: np.ndarray) -> RowEncoder:
    """The encoder ``tensors`` in which the rows of new tokens are trained, and overlapping ones with ``train_overlap``.

    ``copied``: shape (target,), the source id of each overlapping token, or -1. ``given.options`` must be an instance
    of BudgetOptions.
    """
    assert given.model is not None
    if given.options.train_overlap:
        copied = np.where(given.target.special, copied, -1)
    new = np.flatnonzero((copied < 0) & ~given.target.special)
    return RowEncoder.of(given.model.config, tensors, copied, new, given.device)
