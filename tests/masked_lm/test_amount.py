"""How much a pretraining reads where it is not told, and how its updates are divided into batches."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focus_plugin.masked_lm.amount import amount_of, split_update
from focus_plugin.masked_lm.options import Pretraining

JOB = {"data": Path("d"), "init": Path("i")}


@pytest.mark.parametrize(
    ("updates", "given", "every"),
    [(5, None, 1), (250, None, 25), (10_000, None, 1_000), (90_000, None, 1_000), (9, 4, 4)],
)
def test_updates_between_validations(updates: int, given: int | None, every: int) -> None:
    job = Pretraining(**JOB, updates=updates, validate_every=given)
    assert amount_of(job, 1_000_000).validate_every == every


@pytest.mark.parametrize(
    ("tokens", "updates", "batch"),
    [
        (1, 1, 4_096),
        (100_000, 245, 4_096),
        (1_200_000, 2_930, 4_096),
        (8_000_000, 9_766, 8_192),
        (30_000_000, 9_156, 32_768),
        (10**10, 10_000, 32_768),
    ],
)
def test_a_small_text_is_read_ten_times_in_small_updates(tokens: int, updates: int, batch: int) -> None:
    amount = amount_of(Pretraining(**JOB), tokens)
    assert (amount.updates, amount.batch_tokens) == (updates, batch)


def test_what_is_given_is_not_changed() -> None:
    amount = amount_of(Pretraining(**JOB, updates=7, batch_tokens=300), 1_000_000)
    assert (amount.updates, amount.batch_tokens) == (7, 300)
    assert amount_of(Pretraining(**JOB, batch_tokens=100_000), 1_000_000).updates == 100


@given(st.integers(1, 10**6), st.integers(1, 10**5), st.integers(1, 64), st.integers(1, 512))
def test_an_update_has_the_tokens_that_were_asked_for(tokens: int, most: int, devices: int, sample: int) -> None:
    on_device, accumulate = split_update(tokens, most, devices, sample)
    assert on_device <= max(most, sample)
    read = on_device * accumulate * devices
    assert read <= tokens or on_device == sample
    assert read > tokens - accumulate * devices
    assert accumulate == math.ceil(tokens / (most * devices))
