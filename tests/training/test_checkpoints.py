"""What a kill leaves of fairseq's checkpoints, of which only the first file is written atomically."""

import os

import pytest
import torch

from focus_plugin.training.checkpoints import BEST, LAST, mend_checkpoints

OLD, NEW = "checkpoint_1_10.pt", "checkpoint_1_20.pt"


@pytest.mark.parametrize(
    ("written", "copies"),
    [
        ((OLD, NEW), (BEST, LAST)),  # a training of masked LM, with a better loss
        ((OLD, NEW), (LAST,)),
        ((BEST,), (LAST,)),  # fine-tuning, after its best epoch so far
    ],
)
def test_copies_that_were_cut_off_are_made_again(written, copies, tmp_path):
    for age, name in enumerate(written):
        torch.save({"update": name}, tmp_path / name)
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    newest = (tmp_path / written[-1]).read_bytes()
    for name in copies:
        (tmp_path / name).write_bytes(newest[: len(newest) // 2])
    mend_checkpoints(tmp_path)
    assert all((tmp_path / name).read_bytes() == newest for name in copies)


def test_whole_checkpoints_stay(tmp_path):
    for name in (OLD, BEST, LAST):
        torch.save({"update": name}, tmp_path / name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    mend_checkpoints(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
