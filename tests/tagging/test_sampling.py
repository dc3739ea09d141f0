"""Sentences with rare tags are read several times in an epoch of training."""

from pathlib import Path

import pytest
from fairseq_models import World, make_world
from prepared_tables import prepared_tables

from focus_plugin.finetuning.samples import TrainingSamples
from focus_plugin.heads.tagging import HEAD
from focus_plugin.tagging.columns import TagColumns
from focus_plugin.tagging.sampling import copies_by_tag
from focus_plugin.tagging.sentences import TaggedSentence


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def sentence(*tags: str) -> TaggedSentence:
    return TaggedSentence(words=tuple("ba" for _ in tags), tags=tags, lines=tuple(range(1, len(tags) + 1)))


def test_the_root_of_how_much_rarer_a_type_or_a_tag_is():
    people, places = [sentence("O", "B-PER", "I-PER")] * 18, [sentence("B-LOC", "O"), sentence("B-LOC", "B-PER")]
    assert copies_by_tag([*people, *places]) == {"O": 1, "B-PER": 1, "I-PER": 1, "B-LOC": 3}  # 19 / 2 = 9.5
    assert copies_by_tag([sentence("NOUN", "VERB")] * 8 + [sentence("NOUN", "INTJ")]) == {
        "NOUN": 1,
        "VERB": 1,
        "INTJ": 3,
    }
    assert copies_by_tag([sentence("O", "O")]) == {"O": 1}


def test_only_the_training_table_is_sampled(world: World, tmp_path: Path):
    table = tmp_path / "ner.conll"
    table.write_text("ba O\nbe B-PER\n\n" * 9 + "bi O\nbo O\n\n" + "ba B-PER\nbu B-LOC\n\n", encoding="utf-8")
    for sampling, samples in (("equal", 11), ("balanced", 13)):
        (tmp_path / sampling).mkdir()
        data, prepared = prepared_tables(
            HEAD, world, tmp_path / sampling, (table, table), TagColumns(), class_sampling=sampling
        )
        assert prepared.samples == len(TrainingSamples(data, "train", 1, seed=1)) == samples
        assert len(TrainingSamples(data, "valid", 1, seed=1)) == 11
