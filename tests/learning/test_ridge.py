"""Ridge regression: against scikit-learn, and cross-validation against fits without the fold."""

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from focus_plugin.learning.ridge import ridge

STRENGTHS = (0.1, 10.0, 1000.0)


def test_predictions_and_held_out_predictions_are_scikit_learns():
    draw = np.random.default_rng(1)
    features = draw.normal(size=(90, 6)) * [1, 10, 0.1, 1, 1, 3] + 5
    known, folds = np.arange(0, 90, 2), np.arange(45) % 3
    outputs = features[known] @ draw.normal(size=(6, 4)) + draw.normal(size=(45, 4)) * 3
    fit = ridge(*map(torch.from_numpy, (features, known, outputs, folds)), STRENGTHS)

    scaled = StandardScaler().fit(features[known]).transform(features)
    held_out = {strength: np.empty_like(outputs) for strength in STRENGTHS}
    for strength, fold in ((strength, fold) for strength in STRENGTHS for fold in range(3)):
        out = folds == fold
        without = Ridge(alpha=strength).fit(scaled[known][~out], outputs[~out])
        held_out[strength][out] = without.predict(scaled[known][out])
    best = min(STRENGTHS, key=lambda strength: np.square(held_out[strength] - outputs).sum())
    assert fit.strength == best
    np.testing.assert_allclose(fit.held_out, held_out[best], atol=1e-8)
    want = Ridge(alpha=best).fit(scaled[known], outputs[...]).predict(scaled)
    np.testing.assert_allclose(fit.predicted, want, atol=1e-8)


def test_noise_is_not_followed_and_a_constant_feature_does_no_harm():
    draw = np.random.default_rng(2)
    features = np.concatenate([draw.normal(size=(60, 40)), np.ones((60, 1))], 1)
    outputs, folds = draw.normal(size=(60, 2)), np.arange(60) % 5
    fit = ridge(*map(torch.from_numpy, (features, np.arange(60), outputs, folds)), (1e-3, 1e6))
    assert fit.strength == 1e6
    np.testing.assert_allclose(fit.predicted, np.broadcast_to(outputs.mean(0), (60, 2)), atol=1e-3)
