"""Spans of two cuts of a line, the division of a token, and samples of both: against plain loops."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as st
from learned_rows import given_to_learn

from focus_plugin.learning.options import BudgetOptions
from focus_plugin.learning.pairs import NOWHERE, paired_samples, span_sums, span_tokens
from focus_plugin.learning.spans import division, span_edges
from focus_plugin.learning.text import drawn_lines
from focus_plugin.mixing.declaration import Given
from focus_plugin.vocabulary.vocabulary import BEGIN, PAD


@pytest.fixture(scope="module")
def given(release, vocabulary, target_text) -> Given:
    return given_to_learn(release, vocabulary, target_text, BudgetOptions())


@drawn(st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=9), min_size=2, max_size=2))
def test_spans_are_those_between_places_where_both_cuts_have_an_end(cuts):
    one, other = (np.sort(np.array(ends)) for ends in cuts)
    edges = span_edges(one, other)
    spans = [
        [ends[begin:end].tolist() for begin, end in pairwise(places)]
        for ends, places in zip((one, other), edges, strict=True)
    ]
    assert len(spans[0]) == len(spans[1])
    assert [[end for part in parts for end in part] for parts in spans] == [one.tolist(), other.tolist()]
    assert all(part for parts in spans for part in parts)
    common = sorted(set(one.tolist()) & set(other.tolist()))
    assert [parts[-1] for parts in spans[0][:-1]] == [parts[-1] for parts in spans[1][:-1]] == common[:-1]


@drawn(st.text("ab", min_size=1, max_size=7), st.sets(st.text("ab", min_size=1, max_size=4)))
def test_a_division_has_as_few_tokens_as_any_but_is_not_the_token_itself(text, held):
    tokens = {token: i for i, token in enumerate(sorted(held))}
    names = {i: token for token, i in tokens.items()}
    found = division(text, tokens, max(map(len, held), default=0))
    ways = [
        [text[begin:end] for begin, end in pairwise([0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(text)])]
        for cuts in product((False, True), repeat=len(text) - 1)
    ]
    sizes = [len(way) for way in ways if len(way) > 1 and all(part in tokens for part in way)]
    assert len(found) == min(sizes, default=0)
    assert "".join(names[i] for i in found) == (text if sizes else "")


def test_paired_samples_are_the_same_text_in_both_vocabularies(given):
    lines = list(given.text)[:300]
    old, new = paired_samples(given, drawn_lines(lines, 1), 32, 4096)
    assert len(old.ids) == len(new.ids) > 10
    assert new.ids.shape[1] <= 32
    assert old.ids.shape[1] <= given.model.config.max_positions
    assert (old.ids[:, 0] == given.source.ids[BEGIN]).all()
    assert ((new.ids == given.target.ids[PAD]) <= (new.spans == NOWHERE)).all()
    tokens = [int((cut.spans != NOWHERE).sum()) + len(cut.ids) for cut in (old, new)]
    assert 4096 <= sum(tokens) < 4096 + 32 + given.model.config.max_positions
    same = 0
    for sample in range(len(old.ids)):
        texts = []
        for cut, vocabulary in ((old, given.source), (new, given.target)):
            spans = [""] * (int(cut.spans[sample].max()) + 1)
            for token, span in zip(cut.ids[sample].tolist(), cut.spans[sample].tolist(), strict=True):
                if span != NOWHERE:
                    spans[span] += vocabulary.tokens[token]
            texts.append(spans)
        known = [pair for pair in zip(*texts, strict=True) if "<unk>" not in pair[0] + pair[1]]
        assert all(one.strip("▁") == other.strip("▁") for one, other in known)
        same += len(known)
    assert same > 500


def test_sums_of_spans_are_those_of_a_loop():
    draw = torch.Generator().manual_seed(1)
    values = torch.randn(3, 10, 4, generator=draw)
    spans = torch.tensor([[NOWHERE, 0, 0, 1, 2, 2, 2, 3, NOWHERE, NOWHERE]]).repeat(3, 1)
    spans[2, 6:] = NOWHERE
    sums = span_sums(values, spans)
    assert sums.shape == (3, 4, 4)
    for sample, span in product(range(3), range(4)):
        want = values[sample][spans[sample] == span].sum(0)
        torch.testing.assert_close(sums[sample, span], want)
    counted = values[:, :, 0] > 0
    assert span_tokens(spans, counted)[1, 2] == counted[1, 4:7].sum()
