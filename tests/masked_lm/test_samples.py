"""What an encoder reads and predicts while it is trained."""

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary, ListDataset
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_plugin.masked_lm.samples import MaskedSamples, Masking

PIECES = [f"▁w{i}" if i % 3 == 0 else f"p{i}" for i in range(60)]


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    made = Dictionary()
    for piece in PIECES:
        made.add_symbol(piece)
    made.add_symbol("<mask>")
    return made


def pair(dictionary, sample, masking, epoch=1):
    """What is read of a sample, and its targets."""
    both = []
    for targets in (False, True):
        masked = MaskedSamples(ListDataset([sample], [len(sample)]), dictionary, masking, targets)
        masked.set_epoch(epoch)
        both.append(masked[0].numpy())
    return both


samples = st.lists(st.integers(0, 3 + len(PIECES)), min_size=1, max_size=80).map(torch.tensor)
maskings = st.builds(
    Masking,
    predicted=st.floats(0.01, 0.9),
    kept=st.floats(0, 0.5),
    random=st.floats(0, 0.5),
    whole_words=st.booleans(),
    seed=st.integers(0, 99),
)


@given(sample=samples, masking=maskings)
@settings(max_examples=200, deadline=None)
def test_only_ordinary_tokens_are_predicted_and_only_predicted_ones_are_replaced(dictionary, sample, masking):
    read, targets = pair(dictionary, sample, masking)
    predicted = targets != dictionary.pad()
    original = sample.numpy()
    assert (original[predicted] >= dictionary.nspecial).all()
    assert (targets[predicted] == original[predicted]).all()
    assert (read[~predicted] == original[~predicted]).all()
    assert (read[predicted] >= dictionary.nspecial).all()
    if not masking.whole_words:
        ordinary = (original >= dictionary.nspecial).sum()
        assert predicted.sum() in {int(masking.predicted * ordinary), int(masking.predicted * ordinary) + 1}


@given(sample=samples, masking=maskings)
@settings(max_examples=100, deadline=None)
def test_all_pieces_of_a_word_are_predicted_or_none(dictionary, sample, masking):
    whole = Masking(masking.predicted, masking.kept, masking.random, True, masking.seed)
    predicted = pair(dictionary, sample, whole)[1] != dictionary.pad()
    for i in range(1, len(sample)):
        here, before = (dictionary.symbols[sample[j]] for j in (i, i - 1))
        if here.startswith("p") and before in PIECES:
            assert predicted[i] == predicted[i - 1]


def test_shares_are_as_asked_for(dictionary):
    sample = torch.arange(4, 4 + len(PIECES)).repeat(500)
    read, targets = pair(dictionary, sample, Masking(0.3, 0.1, 0.2, False, 1))
    predicted = targets != dictionary.pad()
    original = sample.numpy()
    assert predicted.mean() == pytest.approx(0.3, abs=1e-4)
    masked = read == dictionary.index("<mask>")
    assert masked[predicted].mean() == pytest.approx(0.7, abs=0.02)
    same = 0.1 + 0.2 / len(PIECES)  # a random token may be the token itself
    assert (read == original)[predicted].mean() == pytest.approx(same, abs=0.02)
    replaced = read[predicted & ~masked & (read != original)]
    assert set(replaced) == set(range(4, 4 + len(PIECES)))


def test_each_epoch_and_seed_has_its_own_draw(dictionary):
    sample = torch.arange(4, 4 + len(PIECES))
    draws = [
        pair(dictionary, sample, Masking(0.3, 0.1, 0.1, False, seed), epoch)[1] for seed in (1, 2) for epoch in (1, 2)
    ]
    again = pair(dictionary, sample, Masking(0.3, 0.1, 0.1, False, 1), 1)[1]
    assert (again == draws[0]).all()
    assert len({draw.tobytes() for draw in draws}) == 4
    assert np.any(draws[0] != draws[1])
