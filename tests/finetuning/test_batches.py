"""Batches in which no text is twice, and large batches in the memory of small ones."""

import math
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.tasks import FairseqTask
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from focus_plugin.binary_data import writing_numbers
from focus_plugin.finetuning.distinct import DistinctSamples, distinct_batches
from focus_plugin.finetuning.gradient_caching import in_mini_batches

PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(PAIRS, st.integers(1, 9), st.randoms(use_true_random=False))
def test_no_batch_has_a_row_twice(pairs: list[tuple[int, int]], size: int, draw) -> None:
    order = list(range(len(pairs)))
    draw.shuffle(order)
    batches = distinct_batches(pairs, np.array(order), size)
    assert len(batches) <= math.ceil(len(pairs) / size)
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert max(Counter(row for sample in batch for row in set(pairs[sample])).values()) == 1
    used = np.concatenate(batches).tolist()
    assert len(set(used)) == len(used)
    for left in set(order) - set(used):
        assert all(len(batch) == size or {*pairs[left]} & {r for s in batch for r in pairs[s]} for batch in batches)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500), st.integers(1, 40))
def test_without_repeated_rows_every_sample_is_in_a_batch_and_none_is_small(count: int, size: int) -> None:
    pairs = [(2 * sample, 2 * sample + 1) for sample in range(count)]
    sizes = [len(batch) for batch in distinct_batches(pairs, np.arange(count), size)]
    assert sum(sizes) == count
    assert max(sizes) - min(sizes) <= 1


def test_another_epoch_has_what_one_left_out(tmp_path: Path) -> None:
    """A text is in three of four pairs, so two batches of two hold at most three pairs. Validation never changes."""
    pairs = [("a", "b"), ("a", "c"), ("a", "d"), ("e", "f")]
    with writing_numbers(tmp_path / "train.rows", np.int32) as rows:
        for text in (text for pair in pairs for text in pair):
            rows.add(np.array([0, ord(text), 2]), np.array([3]))
    with writing_numbers(tmp_path / "train.expected", np.int64) as expected:
        for _ in pairs:
            expected.add(np.zeros(1), np.array([1]))
    dataset = DistinctSamples(tmp_path, "train", pad=1, seed=1)
    seen = []
    for epoch in range(1, 20):
        iterator = FairseqTask(None).get_batch_iterator(dataset, max_sentences=2, epoch=epoch, seed=1)
        batches = [batch["id"].tolist() for batch in iterator.next_epoch_itr(shuffle=False)]
        assert all(sum("a" in pairs[sample] for sample in batch) <= 1 for batch in batches)
        assert len(batches) == 2
        seen.append(sorted(sample for batch in batches for sample in batch))
    assert {sample for batch in seen for sample in batch} == {0, 1, 2, 3}
    assert len({*map(tuple, seen)}) > 1


class Words(nn.Module):
    """An encoder with dropout, whose outputs do not depend on padding."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(50, 64)
        self.inner, self.outer, self.dropout = nn.Linear(64, 256), nn.Linear(256, 8), nn.Dropout(0.3)

    def forward(self, ids: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        hidden = self.outer(self.dropout(torch.tanh(self.inner(self.rows(ids)))))
        real = torch.arange(ids.shape[1]) < lengths[:, None]
        return {"mean": (hidden * real[:, :, None]).sum(1), "first": hidden[:, 0]}


def _batch(rows: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(4)
    return torch.randint(0, 50, (rows, 12), generator=draw), torch.randint(1, 13, (rows,), generator=draw)


def _loss(outputs: dict[str, Tensor]) -> Tensor:
    """A loss for which every row matters to every other."""
    return ((outputs["mean"] - outputs["first"].mean(0)) ** 4).sum()


def _gradients(model: Words, run: Callable[[], dict[str, Tensor]]) -> list[Tensor]:
    model.zero_grad()
    _loss(run()).backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("size", [1, 3, 10, 23, 24])
def test_the_gradients_are_those_of_the_whole_batch(size: int) -> None:
    torch.manual_seed(1)
    model, batch = Words().double().eval(), _batch(23)
    wanted = _gradients(model, lambda: model(*batch))
    torch.testing.assert_close(_gradients(model, lambda: in_mini_batches(model, *batch, size)), wanted)


def test_dropout_is_the_same_in_both_passes() -> None:
    """The gradient of the loss with the dropout of the first pass, seen by a step against it that lowers this loss."""
    torch.manual_seed(1)
    model, batch = Words().double(), _batch(23)

    def loss() -> Tensor:
        torch.manual_seed(7)
        return _loss(in_mini_batches(model, *batch, 5))

    before = loss()
    gradients = torch.autograd.grad(before, list(model.parameters()))
    step = 1e-9
    with torch.no_grad():
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter -= step * gradient
    expected = -step * sum(float((gradient**2).sum()) for gradient in gradients)
    assert (loss() - before).item() == pytest.approx(expected, rel=1e-3)


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors that are made in the block: now, and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        torch.utils._pytree.tree_map_only(Tensor, self._count, result)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _memory(rows: int, size: int) -> int:
    """The most bytes of activations at once for the gradients of a batch."""
    model, batch = Words(), _batch(rows)
    with Memory() as memory:
        _gradients(model, lambda: in_mini_batches(model, *batch, size))
    return memory.most


def test_a_batch_of_1024_fits_in_the_memory_of_32() -> None:
    """But for ids, outputs and their gradients."""
    small, beside = _memory(32, 32), 1024 * (12 * 8 + 10 * 16 * 4)
    assert _memory(1024, 1024) > 20 * small
    assert _memory(1024, 32) < 1.1 * small + beside
    assert beside < small
