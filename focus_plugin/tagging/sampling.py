"""How often a training reads a sentence in an epoch, so that rare tags are not too rare."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from focus_export.entities import is_entity_tagset

from focus_plugin.tagging.sentences import TaggedSentence


def copies_by_tag(sentences: Sequence[TaggedSentence]) -> Mapping[str, int]:
    """For each tag, how many times an epoch has a sentence with it; of entities, the B- and the I- tag count as one.

    Repeat factor sampling (Gupta, Dollár & Girshick 2019, LVIS): the root of how many times as many sentences have the
    commonest tag, or have the commonest type of entity. ``O`` has one.
    """
    all_tags = {tag for sentence in sentences for tag in sentence.tags}
    kinds = {tag: tag.partition("-")[2] if is_entity_tagset(all_tags) else tag for tag in all_tags}
    counts = Counter(kind for sentence in sentences for kind in {kinds[tag] for tag in sentence.tags} if kind)
    largest = max(counts.values(), default=1)
    return {tag: round(math.sqrt(largest / counts[kind])) if kind else 1 for tag, kind in kinds.items()}
