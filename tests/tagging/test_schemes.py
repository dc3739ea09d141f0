"""Schemes of entity tags, with seqeval as the reference."""

from pathlib import Path

import pytest
from focus_export.entities import entities_of, entity_tags
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import classification_report, f1_score, get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from focus_plugin.tagging.schemes import as_bio, recognized_scheme
from focus_plugin.tagging.scores import entity_scores
from focus_plugin.tagging.sentences import TaggedSentence

REFERENCES = {"bio": IOB2, "iob1": IOB1, "iobes": IOBES, "bilou": BILOU}
# Each number is that of words in an entity of a type, or of words outside.
SEGMENTS = st.lists(st.tuples(st.sampled_from(["X", "Y-Z", None]), st.integers(1, 4)), min_size=1, max_size=6)


def sentence(tags: list[str]) -> TaggedSentence:
    return TaggedSentence(words=("w",) * len(tags), tags=tuple(tags), lines=tuple(range(1, len(tags) + 1)))


def written(segments: list[tuple[str | None, int]], scheme: str) -> list[str]:
    """The tags of segments in a scheme."""
    tags: list[str] = []
    for (kind, size), (before, _) in zip(segments, [(None, 0), *segments], strict=False):
        if kind is None:
            tags += ["O"] * size
            continue
        inside = {"iobes": "IES", "bilou": "ILU"}.get(scheme, "III")
        first = "I" if scheme == "iob1" and kind != before else "B"
        letters = [first, *inside[0] * (size - 2), *inside[1] * (size > 1)]
        tags += [f"{inside[2] if size == 1 and scheme in ('iobes', 'bilou') else letter}-{kind}" for letter in letters]
    return tags


@pytest.mark.parametrize("scheme", REFERENCES)
@given(segments=SEGMENTS)
def test_a_scheme_is_converted_to_bio(scheme: str, segments: list[tuple[str | None, int]]) -> None:
    tags = written(segments, scheme)
    found = as_bio(sentence(tags), scheme, Path("t.txt"), repair=False)
    assert list(found.tags) == written(segments, "bio")
    reference = Entities([tags], REFERENCES[scheme])
    assert [(entity.tag, entity.start, entity.end) for entity in reference.entities[0]] == list(entities_of(found.tags))


@pytest.mark.parametrize("scheme", REFERENCES)
def test_a_scheme_is_recognized(scheme: str) -> None:
    segments = [("X", 1), (None, 2), ("X", 3), ("X", 2), ("Y", 1)]
    assert recognized_scheme([sentence(written(segments, scheme))], Path("t.txt")) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("O O O", "bio"),
        ("NN O VB", "plain"),
        ("B I O", "bio"),
        ("I O I", "plain"),
        ("B I NN", "plain"),
        ("I-X O I-X", "iob1"),
        ("B-X O I-X", "bio"),
        ("S-X O B-X E-X", "iobes"),
        ("S E O", "plain"),
    ],
)
def test_recognized_tags(tags: str, scheme: str) -> None:
    assert recognized_scheme([sentence(tags.split())], Path("t.txt")) == scheme


def test_tags_without_types() -> None:
    found = as_bio(sentence(["B", "I", "O", "B"]), "bio", Path("t.txt"), repair=False)
    assert found.tags == ("B-_", "I-_", "O", "B-_")
    assert get_entities(["B", "I", "O", "B"]) == [("_", 0, 1), ("_", 3, 3)]


TAGS = st.lists(st.lists(st.sampled_from(entity_tags(["X", "Y-Z"])), min_size=1, max_size=8), min_size=1, max_size=4)


@given(tags=st.lists(st.sampled_from(entity_tags(["X", "Y"])), max_size=10))
def test_repaired_tags_have_the_same_entities(tags: list[str]) -> None:
    repaired = as_bio(sentence(tags or ["O"]), "bio", Path("t.txt"), repair=True).tags
    assert list(entities_of(repaired)) == list(entities_of(tags)) == list(entities_of(repaired, strict=True))
    assert [(kind, start, end + 1) for kind, start, end in get_entities(tags)] == list(entities_of(tags))


@given(data=st.data(), expected=TAGS)
def test_scores_are_those_of_seqeval(data: st.DataObject, expected: list[list[str]]) -> None:
    tags = st.sampled_from(entity_tags(["X", "Y-Z"]))
    predicted = [data.draw(st.lists(tags, min_size=len(one), max_size=len(one))) for one in expected]
    scores = entity_scores(expected, predicted)
    for name, mode in (("f1", {}), ("strict_f1", {"mode": "strict", "scheme": IOB2})):
        assert scores.pop(name) == pytest.approx(f1_score(expected, predicted, zero_division=0, **mode))
        if any(list(entities_of(one, bool(mode))) for one in (*expected, *predicted)):
            report = classification_report(expected, predicted, output_dict=True, zero_division=0, **mode)
            for kind in report.keys() - {"micro avg", "macro avg", "weighted avg"}:
                assert scores.pop(f"{name}_{kind}") == pytest.approx(report[kind]["f1-score"])
    assert not scores
