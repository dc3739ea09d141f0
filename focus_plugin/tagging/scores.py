"""Scores of predicted tags: F1 of entities as seqeval computes it, and accuracy of plain tags."""

from collections.abc import Iterable, Iterator, Sequence

from focus_export.entities import entities_of

# The number of the sentence, the type, and where the entity begins and ends.
PlacedEntity = tuple[int, str, int, int]


def accuracy(expected: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """The share of words with the expected tag, over all sentences."""
    pairs = [pair for one, other in zip(expected, predicted, strict=True) for pair in zip(one, other, strict=True)]
    return sum(tag == found for tag, found in pairs) / len(pairs)


def entity_scores(expected: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """``f1`` in seqeval's default mode and ``strict_f1`` in its strict mode, of tags in BIO.

    They are over all entities (micro average) and, under names such as ``f1_LOC``, over those of each type.
    """
    modes = {
        name: (set(placed_entities(expected, strict)), set(placed_entities(predicted, strict)))
        for name, strict in (("f1", False), ("strict_f1", True))
    }
    scores = {name: f1(*entities) for name, entities in modes.items()}
    for name, entities in modes.items():
        for kind in sorted({entity[1] for either in entities for entity in either}):
            scores[f"{name}_{kind}"] = f1(*({entity for entity in either if entity[1] == kind} for either in entities))
    return scores


def placed_entities(sentences: Iterable[Sequence[str]], strict: bool = False) -> Iterator[PlacedEntity]:
    """The entities of several sentences, see :func:`entities_of`."""
    for number, tags in enumerate(sentences):
        for entity in entities_of(tags, strict):
            yield (number, *entity)


def f1(expected: set[PlacedEntity], predicted: set[PlacedEntity]) -> float:
    """The harmonic mean of precision and recall; 0 if nothing is right, also if there is nothing."""
    return 2 * len(expected & predicted) / max(1, len(expected) + len(predicted))
