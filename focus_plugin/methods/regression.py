"""New rows predicted from what the source encoder computes where their tokens occur. It is not trained, it only reads.

First a ridge regression. The row of every overlapping token is known, so it can learn from them how rows follow from
features that new tokens have, too: the head's state where the token is masked, a middle layer's states where it is
read in source tokens, the mean of the rows of these, its auxiliary embedding, its FOCUS row and its frequency. It
predicts the difference to the FOCUS row. This is scaled down for rare tokens by as much as is best for overlapping
tokens of that frequency that the regression was not fitted to.

Then a multinomial logistic regression. It changes the rows so that they predict the masked tokens from the head's
states at their places, which are known from the first one.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from focus_plugin.learning.options import LEARNING_NEEDS, BudgetOptions
from focus_plugin.mixing.declaration import Given, Method
from focus_plugin.mixing.matching import overlapping

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from focus_plugin.mixing.rows import Rows

FEWEST_OVERLAPPING = 50


@dataclass(frozen=True, kw_only=True)
class RegressionOptions(BudgetOptions):
    """The options of the regression."""


def regression(given: Given) -> "Rows":
    """The rows that the two regressions find. Raises FocusError if too few tokens overlap."""
    import numpy as np

    from focus_plugin.checkpoint.names import OUTPUT_BIAS
    from focus_plugin.errors import FocusError
    from focus_plugin.learning.contexts import contexts, divisions
    from focus_plugin.learning.features import token_features
    from focus_plugin.learning.logistic import bias_for_states, fit_predictions
    from focus_plugin.learning.start import new_row_encoder
    from focus_plugin.learning.text import drawn_ids, drawn_text
    from focus_plugin.progress import half_of
    from focus_plugin.transfer.apply import apply

    assert given.model is not None
    copied, model = overlapping(given), given.model
    known = np.count_nonzero((copied >= 0) & ~given.target.special)
    if known < FEWEST_OVERLAPPING:
        raise FocusError(
            f"Only {known} tokens are in both vocabularies, and --method regression learns from them; it needs at "
            f"least {FEWEST_OVERLAPPING}. Use --method focus or newrows."
        )
    text, divided = drawn_ids(given), divisions(given)
    counts = np.bincount(text, minlength=len(given.target))
    given = replace(given, progress=half_of(given.progress))
    seen = contexts(given, drawn_text(given), divided, given.options.budget)
    made = _by_ridge(given, copied, list(token_features(given, seen, divided, counts)), counts)
    tensors = apply(model.tensors, made, seed=given.seed, device=given.device).tensors
    tensors[OUTPUT_BIAS] = bias_for_states(tensors, seen.states, given.target, text)
    encoder = new_row_encoder(given, tensors, copied)
    fit_predictions(given, encoder, seen.states, seen.tokens)
    return encoder.result(model.tensors[OUTPUT_BIAS])


def _by_ridge(given: Given, copied: "np.ndarray", features: "list[Tensor]", counts: "np.ndarray") -> "Rows":
    """The rows of new tokens that ridge regression predicts from ``features``, each (target, any), and FOCUS rows."""
    import numpy as np
    import torch

    from focus_plugin.learning.held_out import focus_rows, folds_of
    from focus_plugin.learning.ridge import frequency_scales, ridge
    from focus_plugin.mixing.rows import Rows

    assert given.model is not None
    folds, width = folds_of(given, copied), given.model.config.row_length
    known, new = np.flatnonzero(folds >= 0), np.flatnonzero((copied < 0) & ~given.target.special)
    base = focus_rows(given, copied, folds)
    wanted = (torch.cat(_source_rows(given), 1)[copied[known]] - base[known]).double()
    inputs = torch.cat([part.double() for part in (*features, base[:, :width])], 1)
    places, of_known = (torch.from_numpy(part).to(given.device) for part in (known, folds[known]))
    fit = ridge(inputs.to(given.device), places, wanted.to(given.device), of_known)
    scale = frequency_scales(fit.held_out.cpu(), wanted, counts[known], counts)
    rows = torch.split((base + scale[:, None] * fit.predicted.cpu()).float()[new], width, 1)
    return Rows(copied=copied, ids=new, embedding=rows[0], output_embedding=rows[1] if len(rows) > 1 else None)


def _source_rows(given: Given) -> "list[Tensor]":
    """The source's input embedding and, if it is not tied, its output embedding."""
    from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING

    assert given.model is not None
    tensors = given.model.tensors
    return [tensors[EMBEDDING], *([tensors[OUTPUT_EMBEDDING]] if given.model.config.untied else [])]


METHOD = Method(
    name="regression",
    summary="New tokens by regression from what the source encoder computes where they occur.",
    make=regression,
    options=RegressionOptions,
    needs=LEARNING_NEEDS,
)
