"""``--method regression``: no feature of a token has its own row, factors by frequency, and what is made."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learned_rows import given_to_learn

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING
from focus_plugin.errors import FocusError
from focus_plugin.learning.contexts import NO_TOKEN, contexts, divisions, owned_lines
from focus_plugin.learning.features import STATES, shrunk_means
from focus_plugin.learning.held_out import FOLDS, focus_rows, folds_of
from focus_plugin.learning.ridge import frequency_scales
from focus_plugin.learning.text import drawn_lines
from focus_plugin.methods.regression import METHOD, RegressionOptions
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.matching import overlapping
from focus_plugin.transfer.apply import apply
from focus_plugin.vocabulary.vocabulary import MASK

OPTIONS = RegressionOptions(budget=4096)


@pytest.fixture(scope="module")
def given(release, vocabulary, target_text) -> Given:
    return given_to_learn(release, vocabulary, target_text, OPTIONS)


@pytest.fixture(scope="module")
def copied(given) -> np.ndarray:
    return overlapping(given)


def with_changed_row(given: Given, source: int) -> Given:
    embedding = given.embedding.clone()
    embedding[source] += 1
    tensors = {**given.model.tensors, EMBEDDING: embedding, OUTPUT_EMBEDDING: embedding}
    return replace(given, embedding=embedding, model=replace(given.model, tensors=tensors))


def test_the_focus_row_of_an_overlapping_token_does_not_depend_on_its_own_row(given, copied):
    folds = folds_of(given, copied)
    assert np.array_equal(folds >= 0, (copied >= 0) & ~given.target.special)
    assert set(folds) == {-1, *range(FOLDS)}
    token = int(np.flatnonzero(folds == 2)[0])
    before = focus_rows(given, copied, folds)
    after = focus_rows(with_changed_row(given, int(copied[token])), copied, folds)
    assert torch.equal(before[token], after[token])
    assert (before != after).any(1).sum() > 10, "other rows are mixtures with it"


def test_a_token_that_overlaps_is_read_masked_or_divided_and_never_as_itself(given, copied):
    divided = divisions(given)
    read = divided_ones = 0
    for ids, owners in owned_lines(given, [list(given.text)[:200]], divided, np.random.default_rng(1)):
        for i, owner in zip(ids, owners, strict=True):
            if owner != NO_TOKEN:
                assert copied[owner] < 0 or i != copied[owner]
                assert not given.target.special[owner]
                read += 1
                divided_ones += copied[owner] >= 0 and i != given.source.ids[MASK]
    assert read > 500
    assert divided_ones > 50


def test_states_are_those_of_the_text_and_their_means_are_shrunk(given):
    divided = divisions(given)
    seen = contexts(given, drawn_lines(given.text, 1), divided, 4096)
    again = contexts(given, drawn_lines(given.text, 1), divided, 4096)
    assert torch.equal(seen.states, again.states)
    assert len(seen.tokens) == len(seen.states) > 300
    assert seen.reads.sum() > 300
    assert (seen.read[seen.reads == 0] == 0).all()
    assert not given.target.special[seen.tokens.numpy()].any()
    token, total = int(seen.reads.argmax()), seen.read.sum(0) / seen.reads.sum()
    want = (seen.read[token] / seen.reads[token] - total) * seen.reads[token] / (seen.reads[token] + STATES)
    torch.testing.assert_close(shrunk_means(seen.read, seen.reads)[token], want)


def test_the_factor_of_a_frequency_is_that_of_least_squares():
    draw = np.random.default_rng(1)
    known = np.repeat([1, 10, 100, 1000, 10_000], 40)
    predicted = torch.from_numpy(draw.normal(size=(200, 3)))
    true = np.repeat([0.0, 0.3, 0.6, 1, 4], 40)
    wanted = predicted * torch.from_numpy(true)[:, None]
    scales = frequency_scales(predicted, wanted, known, np.array([0, 5, 50, 100, 5000, 50_000]))
    np.testing.assert_allclose(scales, [0, 0, 0.3, 0.6, 1, 1], atol=1e-9)


def test_new_tokens_get_rows_and_overlapping_ones_keep_theirs(given, copied):
    told: list[int] = []
    one, two = METHOD.make(replace(given, progress=told.append)), METHOD.make(given)
    assert torch.equal(one.embedding, two.embedding)
    assert sum(told) == len(given.target)
    assert np.array_equal(one.copied, copied)
    assert np.array_equal(one.ids, np.flatnonzero((copied < 0) & ~given.target.special))
    done = apply(given.model.tensors, one, seed=1).tensors
    kept = copied >= 0
    assert torch.equal(done[EMBEDDING][kept], given.embedding[copied[kept]])
    assert one.output_embedding is None


def test_overlapping_tokens_can_get_rows_too(given, copied):
    made = METHOD.make(replace(given, options=RegressionOptions(budget=4096, train_overlap=True)))
    assert np.array_equal(made.ids, np.flatnonzero(~given.target.special))
    assert np.array_equal(made.copied, np.where(given.target.special, copied, -1))
    places = np.searchsorted(made.ids, np.flatnonzero((copied >= 0) & ~given.target.special))
    kept = given.embedding[copied[made.ids[places]]]
    assert (made.embedding[places] != kept).any(1).all()
    torch.testing.assert_close(made.embedding[places], kept, atol=0.1, rtol=0)


def test_an_output_embedding_that_is_not_tied_gets_rows_of_its_own(given):
    output = given.embedding.flip(0).contiguous()
    model = replace(
        given.model,
        config=replace(given.model.config, untied=True),
        tensors={**given.model.tensors, OUTPUT_EMBEDDING: output},
    )
    made = METHOD.make(replace(given, model=model))
    assert made.output_embedding.shape == made.embedding.shape
    assert not torch.equal(made.output_embedding, made.embedding)


def test_too_few_overlapping_tokens_are_told(given):
    forms = tuple(f"{form}?" for form in given.source.forms)
    with pytest.raises(FocusError, match=r"Only \d+ tokens are in both vocabularies.*at least 50"):
        METHOD.make(replace(given, source=replace(given.source, forms=forms)))
