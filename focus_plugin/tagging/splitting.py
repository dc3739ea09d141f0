"""Learns from training data how raw text is cut into words, and makes raw text of words."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

from focus_export.word_splitter import PLACES, WordSplitter, is_sign, is_unspaced, sign_places

from focus_plugin.tagging.sentences import TaggedSentence

_CLOSING = frozenset(".,;:!?)]}%’”»…。，、！？：；）」』》】")  # no space before
_OPENING = frozenset("([{“‘«¿¡$€£#@（「『《【")  # no space after
_QUOTES = ("'", '"')  # the first one opens, the second one closes, and so on
_LEAST = 2  # a word that is seen less often may be a fault of the data


def with_raw_text(sentence: TaggedSentence) -> TaggedSentence:
    """The same sentence with gaps; if the table does not have them, with those of usual writing.

    Usual writing has no space before closing punctuation, after opening punctuation, inside quotation marks, and
    between letters and punctuation of scripts without spaces, such as Chinese and Thai.
    """
    if sentence.gaps is not None:
        return sentence
    gaps, quotes, opened, before = [], Counter[str](), False, " "
    for word in sentence.words:
        opens, closes = {*word} <= _OPENING, {*word} <= _CLOSING
        if word[0] in _QUOTES and len({*word}) == 1:
            quotes[word[0]] += 1
            opens, closes = quotes[word[0]] % 2 == 1, quotes[word[0]] % 2 == 0
        unspaced = _is_unspaced(before) and _is_unspaced(word[0])
        gaps.append("" if opened or closes or unspaced else " ")
        opened, before = opens, word[-1]
    return sentence.with_gaps(tuple(gaps[1:]))


def _is_unspaced(character: str) -> bool:
    """Whether a character is of a script without spaces, or its punctuation, which is as wide as its letters."""
    wide = unicodedata.east_asian_width(character) in "FW"
    return is_unspaced(character) or (wide and unicodedata.category(character)[0] == "P")


def fitted_splitter(sentences: Sequence[TaggedSentence]) -> WordSplitter:
    """The splitter that cuts raw text as the words of ``sentences`` are cut.

    For each sign and each of PLACES it is counted how often the sign is part of a word there, and how often a word of
    its own; it is joined where the former is more frequent. If a table does not have the gaps, a sign between spaces
    counts as a word of its own in all places, because it may have been one between letters. A word that would be cut is
    whole if it is seen more than once, and more often than its parts beside each other.
    """
    parts = {place: Counter[str]() for place in PLACES}
    alone = {place: Counter[str]() for place in PLACES}
    for sentence in sentences:
        _count_signs(sentence, parts, alone)
    joined = tuple("".join(sorted(s for s, n in parts[place].items() if n > alone[place][s])) for place in PLACES)
    return WordSplitter(joined, tuple(_whole_words(sentences, WordSplitter(joined))))


def _count_signs(sentence: TaggedSentence, parts: dict[str, Counter[str]], alone: dict[str, Counter[str]]) -> None:
    """Count each sign at its place: in ``alone`` if it is a word, in ``parts`` if it is in a word with letters."""
    raw = with_raw_text(sentence)
    places = sign_places(raw.text)
    for word, (start, end) in zip(raw.words, raw.spans, strict=True):
        counts = alone if len(word) == 1 else {} if all(map(is_sign, word)) else parts
        for sign, place in zip(word, places[start:end], strict=True):
            if counts and is_sign(sign) and place is not None:
                counts[place][sign] += 1
        if len(word) == 1 and sentence.gaps is None and not f" {raw.text} "[start : end + 2].replace(word, "").strip():
            for place in PLACES:
                alone[place][word] += is_sign(word)


def _whole_words(sentences: Sequence[TaggedSentence], splitter: WordSplitter) -> list[str]:
    """The words that ``splitter`` would cut, but that are mostly whole in the sentences."""
    counts = Counter(
        word for sentence in sentences for word in sentence.words if not word.isalnum() or is_unspaced(word)
    )
    cut = {}
    for word in sorted(word for word, count in counts.items() if count >= _LEAST):
        spans = splitter.spans(word)
        if len(spans) > 1:
            cut[word] = tuple(word[start:end] for start, end in spans)
    seen = _sequences(sentences, set(cut.values()))
    return [word for word, parts in cut.items() if counts[word] > seen[parts]]


def _sequences(sentences: Sequence[TaggedSentence], wanted: set[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    """How often each sequence of words is in the sentences."""
    lengths: dict[str, set[int]] = defaultdict(set)
    for sequence in wanted:
        lengths[sequence[0]].add(len(sequence))
    return Counter(
        found
        for sentence in sentences
        for number, word in enumerate(sentence.words)
        for length in lengths.get(word, ())
        if (found := sentence.words[number : number + length]) in wanted
    )
