"""Training samples: what is written is what batches hold, also of several rows each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from focus_export.head import Encoded
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Example, Preparation
from focus_plugin.finetuning.options import FinetuningOptions
from focus_plugin.finetuning.samples import IGNORED, TrainingSample, TrainingSamples, write_samples
from focus_plugin.text import Text

PAD = 1
ROW = st.lists(st.integers(4, 300_000), min_size=1, max_size=9)
NUMBERS = st.lists(st.floats(allow_nan=False), min_size=1, max_size=4)


@dataclass(frozen=True)
class Numbers:
    """A head that encodes nothing; a long sample is too long."""

    inputs, more_inputs = ("text",), ()

    def encode(self, tokenizer: object, sample: str, truncate: bool) -> Encoded:
        if len(sample) > 3 and not truncate:
            raise FocusError("is too long.")
        return Encoded(())


def _write(directory: Path, samples: list[list[TrainingSample]], texts: list[str] | None = None) -> int:
    (directory / "dict.txt").write_text("a 1\n")
    texts = texts or ["x"] * len(samples)
    preparation = Preparation(
        directory=directory,
        model=directory / "model",
        encoder=None,
        tokenizer=None,
        max_positions=9,
        tables={"train": Text(())},
        examples=lambda table, doing: (Example(i + 2, text, file=Path("t.tsv")) for i, text in enumerate(texts)),
        options=FinetuningOptions(model=directory, train=(directory,), valid=(directory,)),
    )
    (directory / "model").mkdir(exist_ok=True)
    (directory / "model" / "dict.txt").write_text("a 1\n")
    return write_samples(preparation, "train", Numbers(), lambda example, encoded: samples[example.line - 2])


@settings(max_examples=20, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(1, 5))
def test_batches_hold_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rows_each: int, batch: int
) -> None:
    """Each example gives any number of samples. Every sample is in one place of the random order."""
    directory = tmp_path_factory.mktemp("samples")
    drawn = data.draw(
        st.lists(
            st.lists(st.tuples(st.lists(ROW, min_size=rows_each, max_size=rows_each), NUMBERS), max_size=3)
        ).filter(any)
    )
    made = [
        [TrainingSample([np.array(row) for row in rows], np.array(numbers)) for rows, numbers in part] for part in drawn
    ]
    wanted = [pair for part in drawn for pair in part]
    assert _write(directory, made) == len(wanted)
    dataset = TrainingSamples(directory, "train", PAD, seed=1)
    order = dataset.ordered_indices().tolist()
    assert sorted(order) == list(range(len(wanted)))
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        found = dataset.collater([dataset[index] for index in chosen])
        assert found["ntokens"] == sum(dataset.num_tokens(index) for index in chosen)
        assert len(found["inputs"]) == rows_each
        for place, index in enumerate(chosen):
            rows, numbers = wanted[index]
            assert dataset.size(index) == max(map(len, rows))
            for (ids, lengths), row in zip(found["inputs"], rows, strict=True):
                assert ids[place].tolist() == row + [PAD] * (ids.shape[1] - len(row))
                assert lengths[place] == len(row)
            padding = found["expected"].shape[1] - len(numbers)
            assert torch.equal(
                found["expected"][place], torch.tensor(numbers + [IGNORED] * padding, dtype=torch.float64)
            )


def test_batches_have_little_padding_and_are_others_in_each_epoch(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    rows = [np.arange(1 + length) for length in draw.geometric(1 / 30, size=3000)]
    _write(tmp_path, [[TrainingSample([row], np.zeros(1)) for row in rows]])
    dataset, seen = TrainingSamples(tmp_path, "train", PAD, seed=1), []
    for epoch in (1, 2):
        dataset.set_epoch(epoch)
        order = dataset.ordered_indices()
        assert sorted(order.tolist()) == list(range(len(rows)))
        batches = np.split(dataset.sizes[order], range(32, len(order), 32))
        assert sum(len(batch) * batch.max() for batch in batches) < 1.25 * dataset.sizes.sum()
        seen.append(set(map(frozenset, np.split(order, range(32, len(order), 32)))))
    assert len(seen[0] & seen[1]) < 3
    again = TrainingSamples(tmp_path, "train", PAD, seed=1)
    again.set_epoch(2)
    assert again.ordered_indices().tolist() == order.tolist()


def test_a_sample_that_cannot_be_encoded_is_named_by_its_line(tmp_path: Path) -> None:
    sample = TrainingSample([np.array([5])], np.array([0.0]))
    with pytest.raises(FocusError, match=r"^t\.tsv, line 3: is too long\.$"):
        _write(tmp_path, [[sample], [sample]], ["abc", "abcd"])
