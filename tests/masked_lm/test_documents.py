"""Blank lines separate documents, and count for nothing where documents do not."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fairseq.tasks.masked_lm import MaskedLMConfig
from fairseq_models import World, prepare_data

from focus_plugin.binary_data import read_dataset
from focus_plugin.tasks.focus_masked_lm import FocusMaskedLMTask

LENGTH = 30


def _prepared(world: World, root: Path, documents: list[list[str]], blank: str) -> Path:
    root.mkdir()
    text = blank.join("".join(f"{line}\n" for line in lines) for lines in documents)
    (root / "text.txt").write_text(text, encoding="utf-8")
    return prepare_data(World(root, world.source, root / "text.txt", root / "text.txt"), root / "data")


def _samples(data: Path, mode: str) -> list[list[int]]:
    settings = MaskedLMConfig(data=str(data), tokens_per_sample=LENGTH, sample_break_mode=mode, seed=1)
    samples = FocusMaskedLMTask.setup_task(settings)._load_dataset_split("train", 1, combine=False)
    return [samples[i].tolist() for i in range(len(samples))]


@pytest.fixture(scope="module")
def documents(world: World) -> list[list[str]]:
    """Of one to seven lines."""
    lines = [line for line in world.train.read_text(encoding="utf-8").splitlines() if len(line) < 40]
    return [lines[i * i : (i + 1) * (i + 1)][: 1 + i % 7] for i in range(12)]


def test_no_sample_crosses_the_end_of_a_document(world: World, documents: list[list[str]], tmp_path: Path) -> None:
    samples = _samples(_prepared(world, tmp_path / "all", documents, "\n"), "complete_doc")
    alone = [
        sample
        for number, lines in enumerate(documents)
        for sample in _samples(_prepared(world, tmp_path / str(number), [lines], "\n"), "complete")
    ]
    assert samples == alone
    assert len(samples) > len(documents), "some documents are longer than a sample"


@pytest.mark.parametrize("mode", ["none", "complete", "eos"])
def test_other_samples_are_those_of_the_text_without_blank_lines(
    world: World, documents: list[list[str]], tmp_path: Path, mode: str
) -> None:
    joined, apart = (
        _prepared(world, tmp_path / name, documents, blank) for name, blank in (("joined", ""), ("apart", "\n \n\n"))
    )
    assert _samples(apart, mode) == _samples(joined, mode)
    assert _samples(apart, "complete_doc") != _samples(joined, "complete_doc")
    read = partial(read_dataset, dictionary_size=1000)
    assert np.array_equal(read(apart / "train"), read(joined / "train"))
