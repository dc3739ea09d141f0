"""Ridge regression with several outputs: in closed form, its strength chosen by cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BANDS = 5  # of frequency, each with the same number of known tokens
STRENGTHS = tuple(10.0 ** (i / 2) for i in range(4, 11))


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The result of a regression.

    predicted: (rows, outputs), what it predicts for all rows. held_out: (known, outputs), what it predicts for the
    known rows if it is fitted without the fold that each is in. strength: the penalty.
    """

    predicted: Tensor
    held_out: Tensor
    strength: float


def ridge(
    features: Tensor, known: Tensor, outputs: Tensor, folds: Tensor, strengths: Sequence[float] = STRENGTHS
) -> Fit:
    """Fit ``outputs``, (known, outputs), of the rows ``known`` of ``features``, (rows, features), both float64.

    Features are scaled to the deviation 1 of the known rows, so that one penalty fits all of them; the intercept has no
    penalty. ``folds``: (known,), the fold that each known row is in. The strength is that with the smallest squared
    error on held-out folds (Hoerl & Kennard, Technometrics 1970; Stone, Journal of the Royal Statistical Society 1974).
    """
    seen = features[known]
    scaled = (features - seen.mean(0)) / seen.std(0, correction=0).clamp(min=torch.finfo(torch.float32).eps)
    seen = scaled[known]
    held_out = outputs.new_empty(len(strengths), *outputs.shape)
    for fold in torch.unique(folds):
        out = folds == fold
        held_out[:, out] = _predictions(seen[~out], outputs[~out], seen[out], strengths)
    best = int((held_out - outputs).square().sum((1, 2)).argmin())
    predicted = _predictions(seen, outputs, scaled, strengths[best : best + 1])[0]
    return Fit(predicted=predicted, held_out=held_out[best], strength=strengths[best])


def _predictions(inputs: Tensor, outputs: Tensor, wanted: Tensor, strengths: Sequence[float]) -> Tensor:
    """What fits with each of the strengths predict for the rows ``wanted``; (strengths, wanted, outputs)."""
    mean, level = inputs.mean(0), outputs.mean(0)
    centered = inputs - mean
    squares, products = centered.T @ centered, centered.T @ (outputs - level)
    unit = torch.eye(len(squares), dtype=squares.dtype, device=squares.device)
    slopes = torch.stack([torch.linalg.solve(squares + strength * unit, products) for strength in strengths])
    return (wanted - mean) @ slopes + level


def frequency_scales(predicted: Tensor, wanted: Tensor, known: np.ndarray, counts: np.ndarray) -> Tensor:
    """By how much to multiply the prediction for each token, between 0 and 1; (target,), float64.

    ``predicted``, ``wanted``: (known, width), for tokens that the regression was not fitted to. Tokens are divided into
    BANDS by their frequency, and in each the factor is that with the least squared error. ``known``: (known,), counts
    of these tokens in the text. ``counts``: (target,), of all tokens.
    """
    edges = np.unique(np.quantile(known, np.arange(1, BANDS) / BANDS))
    band_of_known, band = (torch.from_numpy(np.searchsorted(edges, part, side="right")) for part in (known, counts))
    products, squares = (
        torch.zeros(len(edges) + 1, dtype=predicted.dtype).index_add_(0, band_of_known, (predicted * other).sum(1))
        for other in (wanted, predicted)
    )
    return (products / squares.clamp(min=torch.finfo(predicted.dtype).tiny)).clamp(0, 1)[band]
