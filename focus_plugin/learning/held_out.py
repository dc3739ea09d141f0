"""FOCUS rows of overlapping tokens, as if the source did not have them."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING
from focus_plugin.files import silent
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.discovery import find_method
from focus_plugin.transfer.apply import apply
from focus_plugin.vocabulary.vocabulary import Vocabulary

FOLDS = 5


def folds_of(given: Given, copied: np.ndarray) -> np.ndarray:
    """The fold of each overlapping token, drawn by its source token; -1 for other tokens; shape (target,)."""
    kept = (copied >= 0) & ~given.target.special
    sources, places = np.unique(copied[kept], return_inverse=True)
    drawn = np.random.default_rng(given.seed).permutation(len(sources)) % FOLDS
    folds = np.full(len(copied), -1)
    folds[kept] = drawn[places]
    return folds


def focus_rows(given: Given, copied: np.ndarray, folds: np.ndarray) -> Tensor:
    """The FOCUS rows of all tokens, (target, length of a row); beside them those of an untied output embedding.

    Those of an overlapping token are mixtures of tokens in the other folds, see :func:`folds_of`.
    """
    rows = _rows(given, given.source)
    for fold in range(folds.max() + 1):
        out = np.flatnonzero(folds == fold)
        rows[out] = _rows(given, _without(given.source, set(copied[out].tolist())))[out]
    return rows


def _rows(given: Given, source: Vocabulary) -> Tensor:
    assert given.model is not None
    method, own = find_method("focus").declaration, given.options
    options = method.options(match_symbols=own.match_symbols, match_fuzzy=own.match_fuzzy)
    made = method.make(replace(given, source=source, options=options, progress=silent))
    tensors = apply(given.model.tensors, made, seed=given.seed, device=given.device).tensors
    names = [EMBEDDING, *([OUTPUT_EMBEDDING] if given.model.config.untied else [])]
    return torch.cat([tensors[name] for name in names], 1)


def _without(source: Vocabulary, ids: set[int]) -> Vocabulary:
    """The vocabulary with forms that match nothing for the tokens ``ids``."""
    return replace(source, forms=tuple("" if i in ids else form for i, form in enumerate(source.forms)))
