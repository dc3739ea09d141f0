"""``--method newrows``: what it trains, what it leaves alone, and that it lowers the loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learned_rows import given_to_learn

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.learning.encoder import RowEncoder
from focus_plugin.learning.start import row_encoder
from focus_plugin.learning.text import token_ids
from focus_plugin.methods.newrows import METHOD, NewRowsOptions
from focus_plugin.mixing.declaration import Given
from focus_plugin.transfer.apply import apply

OPTIONS = NewRowsOptions(budget=4096)


@pytest.fixture(scope="module")
def given(release, vocabulary, target_text) -> Given:
    return given_to_learn(release, vocabulary, target_text, OPTIONS)


@pytest.fixture(scope="module")
def start(given) -> RowEncoder:
    """The encoder before the training."""
    assert given.text is not None
    ids = token_ids([list(given.text)[:4] * 100], given.target_tokenizer, given.target, 100_000)
    return row_encoder(given, "focus", ids)


def test_only_the_rows_of_new_tokens_change(given, start):
    before = {name: tensor.clone() for name, tensor in given.model.tensors.items()}
    made = METHOD.make(given)
    assert all(torch.equal(given.model.tensors[name], tensor) for name, tensor in before.items()), "the source is kept"
    assert np.array_equal(made.ids, np.flatnonzero((made.copied < 0) & ~given.target.special))
    done = apply(given.model.tensors, made, seed=1).tensors
    copied = made.copied >= 0
    assert torch.equal(done[EMBEDDING][copied], given.model.tensors[EMBEDDING][made.copied[copied]])
    assert (done[EMBEDDING][made.ids] != start.frozen[EMBEDDING][made.ids]).any(1).all()
    for name, tensor in given.model.tensors.items():
        if name not in (EMBEDDING, OUTPUT_EMBEDDING, OUTPUT_BIAS):
            assert torch.equal(done[name], tensor), name


def test_the_same_seed_gives_the_same_bytes(given):
    few = replace(given, options=NewRowsOptions(budget=2048))
    one, two, other = (METHOD.make(replace(few, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(one.embedding, two.embedding)
    assert torch.equal(one.bias, two.bias)
    assert not torch.equal(one.embedding, other.embedding)


def test_progress_is_told_of_all_tokens_and_overlapping_ones_can_be_trained(given):
    told: list[int] = []
    options = NewRowsOptions(budget=2048, train_overlap=True, start="random")
    made = METHOD.make(replace(given, options=options, progress=told.append))
    assert sum(told) == len(given.target)
    assert np.array_equal(made.ids, np.flatnonzero(~given.target.special))
    assert (made.copied >= 0).sum() == 5
