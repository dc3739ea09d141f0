"""Reads JSON Lines of tagged words: ``tokens`` and ``tags``, or ``text`` and spans of characters."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from focus_export.word_splitter import PLACES, WordSplitter

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.json_values import json_value
from focus_plugin.tagging.columns import TagColumns
from focus_plugin.tagging.sentences import SentenceRows, TaggedSentence

_SPANS = ("spans", "entities", "labels", "label")  # of spaCy and Prodigy, of focus predict, of doccano
_TYPES = ("label", "type", "tag")
# Where no training data says how words are cut: an apostrophe or hyphen is part of a word, and so are digits' signs.
_GENERAL = WordSplitter(tuple({"inside": "'’-·", "digits": ".,:/"}.get(place, "") for place in PLACES))

_Span = tuple[int, int, str]


def json_sentences(path: Path, lines: Iterable[str], columns: TagColumns) -> Iterator[TaggedSentence]:
    """The sentences of JSON Lines; blank lines are skipped.

    An object has ``tokens`` and ``tags``, lists of the same length (or those named by the columns), or ``text`` and a
    list of spans. A span is ``[start, end, type]`` or an object with ``start``, ``end`` and ``label`` or ``type``, in
    characters. A text is cut into words by general rules, and where a span begins or ends. Raises FocusError, with the
    line, for anything else, and for spans that overlap or are outside the text.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"{path}, line {number}"
            found = json_value(path, line, number)
            rows = SentenceRows(path, columns.repair)
            if isinstance(found, dict) and _has_tokens(found, columns):
                _add_tokens(place, rows, number, found, columns)
            elif isinstance(found, dict) and isinstance(found.get("text"), str):
                _add_text(place, rows, number, found["text"], _spans(place, found, columns))
            else:
                raise FocusError(f'{place}: is not an object with "tokens" and "tags", or with "text" and "spans".')
            yield from rows.sentence()


def _has_tokens(found: Mapping[str, Any], columns: TagColumns) -> bool:
    """Whether an object has words. Prodigy's ``tokens`` are objects that describe the words of its ``text``."""
    words = found.get(columns.word_column or "tokens")
    described = isinstance(words, list) and any(isinstance(word, dict) for word in words)
    return words is not None and not (described and isinstance(found.get("text"), str))


def _add_tokens(place: str, rows: SentenceRows, number: int, found: Mapping[str, Any], columns: TagColumns) -> None:
    names = (columns.word_column or "tokens", columns.tag_column or "tags")
    words, tags = (found.get(name) for name in names)
    for name, values in zip(names, (words, tags), strict=True):
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise FocusError(f'{place}: "{name}" is not a list of strings.')
    assert isinstance(words, list)
    assert isinstance(tags, list)
    if len(words) != len(tags):
        raise FocusError(f"{place}: {len(words)} words, but {len(tags)} tags.")
    for word, tag in zip(words, tags, strict=True):
        rows.add(number, word, tag)


def _add_text(place: str, rows: SentenceRows, number: int, text: str, spans: Sequence[_Span]) -> None:
    edges = sorted({0, len(text), *(edge for span in spans for edge in span[:2])})
    words = [
        (start + first, start + last)
        for start, end in pairwise(edges)
        for first, last in _GENERAL.spans(text[start:end])
    ]
    tags, firsts = ["O"] * len(words), [first for first, _ in words]
    for start, end, kind in spans:
        inside = range(bisect_left(firsts, start), bisect_left(firsts, end))
        if not inside:
            raise FocusError(f"{place}: the span {start} to {end} has no words.")
        for index in inside:
            tags[index] = f"{'B' if index == inside[0] else 'I'}-{kind}"
    starts_after = [*(start for start, _ in words[1:]), len(text)][: len(words)]  # a text can be without words
    for (start, end), tag, after in zip(words, tags, starts_after, strict=True):
        rows.add(number, text[start:end], tag, text[end:after])


def _spans(place: str, found: Mapping[str, Any], columns: TagColumns) -> list[_Span]:
    """The spans of an object, in order."""
    name = columns.tag_column or next((name for name in _SPANS if name in found), _SPANS[0])
    listed = found.get(name)
    if not isinstance(listed, list):
        raise FocusError(f'{place}: "{name}" is not a list of spans.')
    spans = sorted((_span(place, entry, len(found["text"])) for entry in listed), key=lambda span: span[:2])
    for (_, end, _), (start, _, _) in pairwise(spans):
        if start < end:
            raise FocusError(f"{place}: two spans overlap at character {start}; a word can have only one tag.")
    return spans


def _span(place: str, entry: Any, length: int) -> _Span:
    if isinstance(entry, dict):
        kind = next((entry[name] for name in _TYPES if name in entry), None)
        entry = [entry.get("start"), entry.get("end"), kind]
    if not (isinstance(entry, list) and len(entry) == 3 and [type(part) for part in entry] == [int, int, str]):
        raise FocusError(f"{place}: {json.dumps(entry, ensure_ascii=False)} is not a span with start, end and type.")
    start, end, kind = entry
    if not 0 <= start < end <= length or not kind.strip():
        raise FocusError(
            f"{place}: the span {start} to {end} of type {kind!r} is empty, has no type, or is not inside the text of "
            f"{length} characters."
        )
    return start, end, kind
