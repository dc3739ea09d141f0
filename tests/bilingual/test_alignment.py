"""The alignment term: its value on two words by hand, and its gradient by autograd."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from focus_plugin.bilingual.alignment import PairRows, alignment_loss, mean_cosine


def test_two_words_by_hand():
    """Rows (3, 4) and (4, 3): cosine 24/25, distance sqrt 2."""
    embedding = torch.tensor([[3.0, 4.0], [4.0, 3.0]])
    source, target = PairRows([([0], [1])])(embedding)
    assert alignment_loss(source, target, "cosine", 0).item() == pytest.approx(-24 / 25)
    assert alignment_loss(source, target, "l2", 0).item() == pytest.approx(math.sqrt(2))
    assert alignment_loss(source, target, "margin", 0.98).item() == pytest.approx(0.02)
    assert alignment_loss(source, target, "margin", 0.9).item() == 0
    assert mean_cosine(embedding, [([0], [1]), ([1], [1])]) == pytest.approx((24 / 25 + 1) / 2)


def plain(embedding, pairs, distance, margin):
    """The term in a few lines, one pair after the other."""
    total = 0
    for source, target in pairs:
        a, b = (embedding[list(side)].mean(0) for side in (source, target))
        cosine = normalize(a, dim=0) @ normalize(b, dim=0)
        total = total + {"cosine": -cosine, "margin": (margin - cosine).clamp(min=0), "l2": (a - b).norm()}[distance]
    return total / len(pairs)


PAIRS = [([4], [9]), ([4], [7]), ([5, 5, 6], [8]), ([7, 4], [10, 11, 12])]


@pytest.mark.parametrize("distance", ["cosine", "margin", "l2"])
def test_value_and_gradient_are_autograds(distance):
    torch.manual_seed(3)
    ours = torch.randn(14, 8, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    value = alignment_loss(*PairRows(PAIRS)(ours), distance, 0.3)
    expected = plain(theirs, PAIRS, distance, 0.3)
    (10 * value).backward()
    (10 * expected).backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)
    moved = set(torch.nonzero(ours.grad.abs().sum(1)).flatten().tolist())
    if distance != "margin":
        assert moved == {4, 5, 6, 7, 8, 9, 10, 11, 12}, "both sides of every pair, and no other row"


@pytest.mark.parametrize(("precision", "close"), [(torch.bfloat16, 0.02), (torch.float16, 0.003)])
def test_half_precision_is_that_of_the_rows_alone(precision, close):
    """Thousands of pairs, and rows whose products float16 cannot hold."""
    torch.manual_seed(3)
    rows = (300 * torch.randn(4000, 16)).to(precision)
    pairs = [([i], [2000 + i]) for i in range(2000)]
    half, whole = rows.clone().requires_grad_(), rows.float().requires_grad_()
    for embedding in (half, whole):
        (5e4 * alignment_loss(*PairRows(pairs)(embedding), "cosine", 0)).backward()
    assert half.grad.dtype == precision
    assert torch.isfinite(half.grad).all()
    difference = (half.grad.float() - whole.grad).norm() / whole.grad.norm()
    assert difference < close


def test_equal_rows_have_no_direction_to_move_in():
    """The Euclidean distance has no derivative at zero, where its gradient must not be NaN."""
    embedding = torch.ones(2, 4, requires_grad=True)
    alignment_loss(*PairRows([([0], [1])])(embedding), "l2", 0).backward()
    assert torch.equal(embedding.grad, torch.zeros(2, 4))
