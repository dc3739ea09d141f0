"""What a pretraining does where it is not told."""

from pathlib import Path

import pytest

from focus_plugin.masked_lm.options import Pretraining


@pytest.mark.parametrize(
    ("updates", "given", "every"),
    [(5, None, 1), (250, None, 25), (10_000, None, 1_000), (90_000, None, 1_000), (9, 4, 4)],
)
def test_updates_between_validations(updates: int, given: int | None, every: int) -> None:
    job = Pretraining(data=Path("d"), init=Path("i"), updates=updates, validate_every=given)
    assert job.updates_between_validations == every
