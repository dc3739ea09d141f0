"""What is masked: the share, never a special token, and the same whenever text and seed are the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from focus_plugin.masked_lm.masking import mask_text
from focus_plugin.vocabulary.vocabulary import MASK, SPECIALS, Vocabulary

VOCABULARY = Vocabulary.of(("<s>", "<pad>", "</s>", "<unk>", *map(chr, range(97, 123)), "<mask>"))
texts = st.lists(st.integers(0, len(VOCABULARY) - 2), max_size=400).map(lambda ids: np.array(ids, dtype=np.int64))


@given(texts, st.integers(0, 2**31 - 1))
def test_shares_are_exact_and_special_tokens_are_left_alone(ids, seed):
    text = mask_text(ids, VOCABULARY, seed)
    special = np.isin(ids, [VOCABULARY.ids[token] for token in SPECIALS])
    count = round(0.15 * (~special).sum())
    assert text.predicted.sum() == count
    assert not text.predicted[special].any()
    assert (text.original == ids).all()
    assert (text.read == ids)[~text.predicted].all()
    read = text.read[text.predicted]
    assert (read == VOCABULARY.ids[MASK]).sum() == round(0.8 * count)
    assert not np.isin(read, [VOCABULARY.ids[token] for token in SPECIALS if token != MASK]).any()


def test_a_tenth_is_replaced_by_any_token_and_a_tenth_is_left() -> None:
    ids = np.random.default_rng(1).integers(4, 30, 100_000)
    text = mask_text(ids, VOCABULARY, 1)
    same = text.read[text.predicted] == text.original[text.predicted]
    by_chance = 1500 / 26  # a random token may be the one it replaces
    assert abs(same.sum() - 1500 - by_chance) < 30
    assert set(text.read[text.predicted]) == {*range(4, 31)}, "each ordinary token is drawn, and <mask>"


def test_text_and_seed_decide() -> None:
    ids = np.arange(4, 30)
    texts = [mask_text(ids, VOCABULARY, seed) for seed in (7, 7, 8)]
    assert np.array_equal(texts[0].read, texts[1].read)
    assert not np.array_equal(texts[0].predicted, texts[2].predicted)
