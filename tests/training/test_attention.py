"""Self-attention on CPUs against fairseq's, in what it computes, its gradients and whole trainings."""

import copy

import pytest
import torch
from fairseq.modules import MultiheadAttention
from hypothesis import given, settings
from hypothesis import strategies as st

import focus_plugin.models.attention as attention
from focus_plugin.models.attention import SelfAttention
from focus_plugin.models.dropout import drawn

WIDTH = 12


def pair(seed=1):
    torch.manual_seed(seed)
    theirs = MultiheadAttention(WIDTH, 3, self_attention=True)
    ours = copy.deepcopy(theirs)
    ours.__class__ = SelfAttention
    return ours, theirs


def results(module, states, padding, real):
    states = states.clone().requires_grad_()
    found, weights = module(states, states, states, key_padding_mask=padding, need_weights=False)
    assert weights is None
    (found[real] ** 2).sum().backward()
    return [found[real], states.grad[real], *(parameter.grad for parameter in module.parameters())]


@given(
    length=st.integers(1, 40),
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    padded=st.booleans(),
    kept=st.sampled_from([0, 256]),
    scores=st.sampled_from([1, 500, 2**18]),
)
@settings(max_examples=60, deadline=None)
def test_results_and_gradients_are_fairseqs(length, lengths, padded, kept, scores):
    ours, theirs = pair()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "_KEPT", kept)
        patch.setattr(attention, "_SCORES", scores)
        states = torch.randn(length, len(lengths), WIDTH, generator=torch.Generator().manual_seed(2))
        padding = torch.arange(length)[None] >= torch.tensor(lengths)[:, None] if padded else None
        real = torch.ones(length, len(lengths), dtype=torch.bool) if padding is None else ~padding.T
        for found, want in zip(
            results(ours, states, padding, real), results(theirs, states, padding, real), strict=True
        ):
            torch.testing.assert_close(found, want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("kept", [0, 256])
@pytest.mark.parametrize("scores", [1, 2**18])
def test_gradients_are_those_of_numbers(dropout, kept, scores, monkeypatch):
    monkeypatch.setattr(attention, "_KEPT", kept)
    monkeypatch.setattr(attention, "_SCORES", scores)
    inputs = [torch.randn(4, 5, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])

    def attended(*heads):
        torch.manual_seed(4)
        return attention._Attention.apply(*heads, padding, dropout)

    assert torch.autograd.gradcheck(attended, inputs)


def test_dropout_leaves_out_probabilities():
    ours, theirs = pair()
    ours.dropout_module.p = 0.3
    states = torch.randn(6, 2, WIDTH)
    torch.manual_seed(4)
    found = ours(states, states, states, need_weights=False)[0]
    torch.manual_seed(4)
    factors = drawn(torch.Size([6, 6, 6]), 0.3) / (1 - 0.3)
    heads = [theirs.v_proj(states), theirs.q_proj(states), theirs.k_proj(states)]
    value, query, key = (one.view(6, 6, 4).transpose(0, 1) for one in heads)
    chances = torch.softmax(query @ key.transpose(1, 2) / 2, -1) * factors
    want = theirs.out_proj((chances @ value).transpose(0, 1).reshape(6, 2, WIDTH))
    torch.testing.assert_close(found, want, atol=1e-5, rtol=1e-4)
    assert 0 < (factors == 0).float().mean() < 0.6
    torch.testing.assert_close(ours.eval()(states, states, states)[0], theirs(states, states, states)[0])
