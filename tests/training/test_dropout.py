"""Dropout on CPUs: how many elements are kept, their values, gradients, and the random seed."""

import numpy as np
import pytest
import torch
from fairseq.modules.fairseq_dropout import FairseqDropout
from fairseq.modules.gelu import gelu
from scipy.stats import binomtest, chisquare
from torch import nn

from focus_plugin.models.dropout import Dropout, drawn, scale
from focus_plugin.models.fast_layers import use_fast_layers


def dropout(p):
    model = nn.Sequential(FairseqDropout(p))
    use_fast_layers(model)
    assert type(model[0]) is Dropout
    return model[0].train()


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_are_kept_and_scaled_or_zero(p, dtype):
    values = torch.randn(1001, 7, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    torch.manual_seed(2)
    found = dropout(p)(values)
    found.sum().backward()
    zero = found == 0
    torch.testing.assert_close(
        found[~zero], values[~zero] / (1 - p), rtol=0.01 if dtype == torch.bfloat16 else 1e-4, atol=0
    )
    assert found.dtype == dtype
    assert torch.equal(values.grad == 0, zero)
    torch.testing.assert_close(values.grad[~zero].float().unique(), torch.tensor([1 / (1 - p)]), rtol=0.01, atol=0)
    assert binomtest(int(zero.sum()), zero.numel(), p).pvalue > 1e-3


def test_elements_are_independent_of_each_other():
    """Neighbours share a random number of 64 bits: each of the 16 patterns of four must be as frequent as it should."""
    torch.manual_seed(3)
    kept = drawn(torch.Size([400_000]), 0.3).view(-1, 4).numpy()
    patterns = np.bincount(kept @ [1, 2, 4, 8], minlength=16)
    ones = np.array([bin(pattern).count("1") for pattern in range(16)])
    assert chisquare(patterns, len(kept) * 0.7**ones * 0.3 ** (4 - ones)).pvalue > 1e-3


def test_the_mean_remains():
    for p in (1e-6, 0.1, 1 / 3, 0.999999):
        torch.manual_seed(4)
        kept = drawn(torch.Size([2**20]), p)
        expected = 2**20 / scale(p)
        assert abs(int(kept.sum()) - expected) < 4 * (expected * (1 - expected / 2**20)) ** 0.5 + 1


def test_a_seed_gives_the_same_elements():
    values, layer = torch.ones(50, 3), dropout(0.5)
    torch.manual_seed(5)
    first, second = layer(values), layer(values)
    torch.manual_seed(5)
    assert torch.equal(layer(values), first)
    assert not torch.equal(first, second)
    assert torch.equal(layer.eval()(values), values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gelu_without_conversion_is_fairseqs(dtype):
    values = torch.linspace(-9, 9, 10_001).to(dtype)
    found, want = (values.clone().requires_grad_() for _ in range(2))
    for function, given in ((nn.functional.gelu, found), (gelu, want)):
        function(given).sum().backward()
    assert torch.equal(nn.functional.gelu(values), gelu(values))
    assert torch.equal(found.grad, want.grad)
