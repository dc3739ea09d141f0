"""Logistic regression of rows: what it predicts on other states, what it changes, and its bias."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learned_rows import given_to_learn

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.learning.encoder import RowEncoder
from focus_plugin.learning.logistic import bias_for_states, fit_predictions
from focus_plugin.learning.options import BudgetOptions
from focus_plugin.mixing.declaration import Given


@pytest.fixture(scope="module")
def given(release, vocabulary, target_text) -> Given:
    return given_to_learn(release, vocabulary, target_text, BudgetOptions())


def encoder_of(given: Given, untied: bool) -> RowEncoder:
    draw = torch.Generator().manual_seed(1)
    embedding = torch.randn(len(given.target), given.model.config.width, generator=draw) * 0.1
    output = embedding.flip(0) if untied else embedding
    tensors = {EMBEDDING: embedding, OUTPUT_EMBEDDING: output, OUTPUT_BIAS: torch.zeros(len(given.target))}
    copied = np.where(np.arange(len(given.target)) % 4 == 0, 5, -1)
    trained = np.flatnonzero((copied < 0) & ~given.target.special)
    config = replace(given.model.config, untied=untied)
    return RowEncoder.of(config, {**given.model.tensors, **tensors}, copied, trained, "cpu")


@pytest.mark.parametrize("untied", [False, True])
def test_tokens_that_states_tell_apart_are_predicted_better_on_other_states(given, untied):
    encoder = encoder_of(given, untied)
    draw = torch.Generator().manual_seed(2)
    frequent = encoder.new[:20]
    centers = torch.randn(20, given.model.config.width, generator=draw)

    def states_of(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        kinds = torch.randint(20, (count,), generator=draw)
        noise = torch.randn(count, given.model.config.width, generator=draw)
        return centers[kinds] + 0.3 * noise, frequent[kinds]

    def loss(states: torch.Tensor, tokens: torch.Tensor) -> float:
        tensors = encoder.tensors()
        logits = states @ tensors[OUTPUT_EMBEDDING].T + tensors[OUTPUT_BIAS]
        return torch.nn.functional.cross_entropy(logits, tokens).item()

    before, inputs, other = encoder.tensors(), encoder.rows.detach().clone(), states_of(500)
    start = loss(*other)
    fit_predictions(given, encoder, *states_of(20_000))
    assert loss(*other) < start - 0.5
    assert torch.equal(encoder.rows, inputs) == untied
    after = encoder.tensors()
    kept = np.setdiff1d(np.arange(len(given.target)), encoder.new)
    assert torch.equal(after[OUTPUT_EMBEDDING][kept], before[OUTPUT_EMBEDDING][kept])
    size = given.model.tensors[EMBEDDING].square().mean().sqrt()
    changed = (after[OUTPUT_EMBEDDING] - before[OUTPUT_EMBEDDING])[frequent].square().mean().sqrt()
    assert 0.05 * size < changed < 10 * size


def test_the_bias_makes_predictions_as_frequent_as_the_text(given):
    tensors = {**encoder_of(given, False).frozen}
    states = torch.randn(3000, given.model.config.width, generator=torch.Generator().manual_seed(3))
    text = 4 + np.minimum(np.random.default_rng(1).geometric(0.02, 5000), len(given.target) - 6)
    special = given.target.special
    wanted = (np.bincount(text, minlength=len(given.target)) + 1.0)[~special]
    for _ in range(20):  # each time the predictions change less
        tensors[OUTPUT_BIAS] = bias_for_states(tensors, states, given.target, text)
    shares = torch.softmax(states @ tensors[OUTPUT_EMBEDDING].T + tensors[OUTPUT_BIAS], 1).mean(0).numpy()[~special]
    np.testing.assert_allclose(shares / shares.sum(), wanted / wanted.sum(), rtol=0.05)
    assert (tensors[OUTPUT_BIAS][special] == 0).all()
