"""Entities as tags of words: B-TYPE begins one, I-TYPE continues it, and O is outside."""

from collections.abc import Iterable, Iterator, Sequence

OUTSIDE = "O"


def entity_tags(kinds: Sequence[str]) -> tuple[str, ...]:
    """The tags of entities of these types."""
    return (OUTSIDE, *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI"))


def is_entity_tagset(tags: Iterable[str]) -> bool:
    """Whether tags are those of entities, and not plain tags such as parts of speech."""
    return all(tag == OUTSIDE or tag.startswith(("B-", "I-")) for tag in tags)


def entities_of(tags: Sequence[str], strict: bool = False) -> Iterator[tuple[str, int, int]]:
    """Type, first word and end (the word after the last one) of every entity.

    An I- tag that does not continue an entity of its type begins one, as in the CoNLL-2003 shared task and seqeval's
    default mode. If ``strict``, it is outside, as in seqeval's strict mode with the scheme IOB2.
    """
    kind, start = None, 0
    for number, tag in enumerate([*tags, OUTSIDE]):
        prefix, _, found = tag.partition("-")
        if prefix == "I" and found == kind:
            continue
        if kind is not None:
            yield kind, start, number
        begins = prefix == "B" or (prefix == "I" and not strict)
        kind, start = (found, number) if begins else (None, number)
