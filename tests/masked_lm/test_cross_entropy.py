"""The summed cross-entropy and its gradients against torch's, and the criterion that uses it."""

import pytest
import torch
from fairseq_models import PLUGIN, prepare_data, run, script, train_options
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, linear

import focus_plugin.masked_lm.cross_entropy as ours

WIDTH = 8


def inputs(predictions, tokens, dtype=torch.float32):
    draw = torch.Generator().manual_seed(predictions)
    states, embedding, bias = (
        torch.randn(*shape, generator=draw).to(dtype).requires_grad_()
        for shape in ((predictions, WIDTH), (tokens, WIDTH), (tokens,))
    )
    return states, embedding, bias, torch.randint(tokens, (predictions,), generator=draw)


def torchs(states, embedding, bias, targets):
    return cross_entropy(linear(states, embedding, bias), targets, reduction="sum")


def gradients(loss, tensors):
    (3 * loss).backward()
    found = [tensor.grad for tensor in tensors]
    for tensor in tensors:
        tensor.grad = None
    return found


@given(predictions=st.integers(0, 50), tokens=st.integers(1, 40), logits=st.sampled_from([1, 100, 2**21]))
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_are_torchs(predictions, tokens, logits):
    *tensors, targets = inputs(predictions, tokens)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours, "_LOGITS_ON_CPU", logits)
        patch.setattr(ours, "_FEWEST", 3)
        found = ours.summed_cross_entropy(*tensors, targets)
    want = torchs(*tensors, targets)
    torch.testing.assert_close(found, want, atol=1e-4, rtol=1e-5)
    for one, other in zip(gradients(found, tensors), gradients(want, tensors), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_under_autocast_products_are_rounded_and_the_loss_is_not():
    *tensors, targets = inputs(200, 300)
    want = torchs(*tensors, targets)
    with torch.autocast("cpu", torch.bfloat16):
        found = ours.summed_cross_entropy(*tensors, targets)
    assert found.dtype == torch.float32
    assert 0 < abs(found - want) < 2e-3 * want
    for one, other in zip(gradients(found, tensors), gradients(want, tensors), strict=True):
        assert one.dtype == torch.float32
        assert 0 < (one - other).norm() < 1e-2 * other.norm()


def test_half_precision_does_not_lose_small_probabilities():
    """2,000 tokens have a probability of 5e-8 each, which float16 rounds to 6e-8."""
    states = torch.ones(1, WIDTH, dtype=torch.float16, requires_grad=True)
    embedding = torch.zeros(2001, WIDTH, dtype=torch.float16, requires_grad=True)
    bias = torch.cat([torch.tensor([16.8]), torch.zeros(2000)]).requires_grad_()
    ours.summed_cross_entropy(states, embedding, bias, torch.zeros(1, dtype=torch.long)).backward()
    want = torch.softmax(bias.detach().double(), 0)[1:].float()
    torch.testing.assert_close(bias.grad[1:], want, atol=0, rtol=1e-3)
    assert embedding.grad.dtype == torch.float16


def test_no_gradient_is_computed_where_none_is_asked_for():
    *tensors, targets = inputs(20, 30)
    with torch.no_grad():
        found = ours.summed_cross_entropy(*tensors, targets)
    assert not found.requires_grad
    torch.testing.assert_close(found, torchs(*tensors, targets).detach(), atol=1e-4, rtol=1e-5)


def test_the_criterion_refuses_models_that_return_logits(world, tmp_path):
    options = train_options(prepare_data(world, tmp_path / "data"), tmp_path / "out", 1)
    options[options.index("masked_lm")] = "focus_masked_lm"
    done = run(script("fairseq-train"), *options, *PLUGIN, "--arch", "roberta_base", "--encoder-layers", 1)
    assert done.returncode
    assert "--criterion focus_masked_lm needs an --arch of this plugin" in done.stdout
