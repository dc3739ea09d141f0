"""Prepared data of any size: fairseq's index written as it comes, shards, and several languages."""

import filecmp
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder
from fairseq.tasks.masked_lm import MaskedLMConfig
from fairseq_models import World, make_world
from hypothesis import given, settings
from hypothesis import strategies as st
from invoked import refuse, run
from torch import from_numpy

from focus_plugin import binary_data
from focus_plugin.errors import FocusError
from focus_plugin.masked_lm import data as masked_lm_data
from focus_plugin.masked_lm.data import prepare_masked_lm, shards_of
from focus_plugin.masked_lm.languages import Repeated, named_texts, times_read
from focus_plugin.tasks.focus_masked_lm import FocusMaskedLMTask
from focus_plugin.text import Text


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=40), st.sampled_from([np.uint16, np.int32, np.int64]), st.data()
)
def test_the_files_are_those_of_fairseqs_writer(tmp_path_factory, sizes, dtype, data):
    root = tmp_path_factory.mktemp("written")
    items = [np.arange(size) + place for place, size in enumerate(sizes)]
    builder = MMapIndexedDatasetBuilder(str(root / "theirs.bin"), dtype=dtype)
    for item in items:
        builder.add_item(from_numpy(item))
    builder.finalize(str(root / "theirs.idx"))
    cuts = sorted({0, len(items), *data.draw(st.lists(st.integers(0, len(items)), max_size=3))})
    with pytest.MonkeyPatch.context() as patch, binary_data.writing_numbers(root / "ours", dtype) as writer:
        patch.setattr(binary_data, "_ITEMS_AT_ONCE", 7)
        for start, end in pairwise(cuts):
            writer.add(np.concatenate(items[start:end]), np.array(sizes[start:end]))
    for suffix in ("bin", "idx"):
        assert filecmp.cmp(root / f"ours.{suffix}", root / f"theirs.{suffix}", shallow=False)


def items(path: Path) -> list[list[int]]:
    dataset = MMapIndexedDataset(str(path))
    return [dataset[i].tolist() for i in range(len(dataset))]


def test_shards_take_lines_in_turn_and_fairseq_reads_one_in_each_epoch(world, tmp_path, monkeypatch):
    monkeypatch.setattr(masked_lm_data, "SHARD_LINES", 100)  # of 600
    texts = {"train": Text.of(world.train), "valid": Text.of(world.valid)}
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = prepare_masked_lm(world.source, texts, tmp_path / "whole")
    assert prepare_masked_lm(world.source, texts, tmp_path / "parts", shards=4) == whole
    lines = items(tmp_path / "whole" / "train")
    shards = shards_of(tmp_path / "parts")
    assert [path.name for path in shards] == ["parts", "shard1", "shard2", "shard3"]
    want = [[*lines[:100], *lines[400:500]], [*lines[100:200], *lines[500:]], lines[200:300], lines[300:400]]
    assert [items(path / "train") for path in shards] == want
    config = MaskedLMConfig(data=":".join(map(str, shards)), tokens_per_sample=40, sample_break_mode="eos", seed=1)
    task = FocusMaskedLMTask.setup_task(config)
    assert task.has_sharded_data("train")
    for epoch, shard in ((1, 0), (2, 1), (4, 3), (5, 0)):
        samples = task._load_dataset_split("train", epoch, combine=False)
        assert [samples[i][1:].tolist() for i in range(len(samples))] == want[shard]
        assert len(task._load_dataset_split("valid", epoch, combine=False)) == 60


def test_a_text_too_short_for_its_shards(world, tmp_path):
    with pytest.raises(FocusError, match=r"--shards 2: the training text is too short.* at most 1 can be filled"):
        prepare_masked_lm(world.source, {"train": Text.of(world.train)}, tmp_path, shards=2)


def written(path: Path, count: int) -> Path:
    path.write_text("".join(f"{path.stem} {number:04}\n" for number in range(count)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("alpha", "times"), [(1.0, (1.0, 1.0)), (0.5, (1.0, 2.0)), (0.0, (1.0, 4.0)), (0.75, (1.0, 4**0.25))]
)
def test_a_language_is_read_so_often_that_it_has_its_share(tmp_path, alpha, times):
    texts = {name: Text.of(written(tmp_path / f"{name}.txt", size)) for name, size in (("ab", 400), ("cd", 100))}
    found = times_read(texts, alpha)
    assert tuple(found.values()) == pytest.approx(times)
    lines = list(Repeated(tuple((text, found[name]) for name, text in texts.items())).lines())
    assert sum(line.startswith("ab") for line in lines) == 400
    repeated = [line for line in lines if line.startswith("cd")]
    assert len(repeated) == pytest.approx(100 * times[1], abs=1)
    counts = {repeated.count(line) for line in repeated}
    assert counts <= {int(times[1]), int(times[1]) + 1}
    last = [int(line[3:]) for line in repeated[100 * int(times[1]) :]]
    assert max((after - before for before, after in pairwise(last)), default=0) <= 3, "spread over the text"


def test_files_of_languages(tmp_path):
    one, two, odd = (written(tmp_path / name, 3) for name in ("one.txt", "two.txt", "a=b.txt"))
    found = named_texts([Path(f"sw={one}"), Path(f"xh={two}"), Path(f"sw={odd}")])
    assert {name: [file.path for file in text.files] for name, text in found.items()} == {"sw": [one, odd], "xh": [two]}
    assert list(named_texts([one, odd])) == [""]
    with pytest.raises(FocusError, match=r"two\.txt: has no language, but others have; write it as LANGUAGE="):
        named_texts([Path(f"sw={one}"), two])


def test_a_family_of_languages_from_the_command_line(world, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("".join(world.train.read_text(encoding="utf-8").splitlines(keepends=True)[:150]), encoding="utf-8")
    words = ("focus", "prepare", "--vocab", world.source, "--train", f"sw={world.train}", "--train", f"xh={other}")
    words = (*words, "--valid", world.valid, "--sampling-alpha", 0.5)
    told = run(*words, "--output", tmp_path / "data")
    counts = json.loads((tmp_path / "data" / "focus.json").read_text(encoding="utf-8"))["counts"]
    assert counts["times_read"]["sw"] == 1
    assert 1.9 < counts["times_read"]["xh"] < 2.1
    assert 880 < counts["train"]["lines"] < 920
    assert "xh: read 2." in told.stderr + told.stdout
    run(*words, "--output", tmp_path / "again", "--quiet")
    for name in ("train.bin", "train.idx"):
        assert filecmp.cmp(tmp_path / "data" / name, tmp_path / "again" / name, shallow=False)
    refuse(*words, "--train", world.valid, "--output", tmp_path / "odd", says="has no language, but others have")
