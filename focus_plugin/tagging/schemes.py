"""The schemes of entity tags: recognizing them, checking tags, and converting them to BIO.

BIO (also called IOB2): B-TYPE begins an entity and I-TYPE continues it. IOB1: I-TYPE does both, and B-TYPE only begins
an entity after another one of its type. IOBES and BILOU: E or L ends an entity, S or U is one of a single word. The
type can be missing, as in B and I; it is then ``_``. All other tags are plain, such as parts of speech.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.tagging.sentences import TaggedSentence

PLAIN = "plain"
SCHEMES = ("bio", "iob1", "iobes", "bilou", PLAIN)
_OUTSIDE = "O"
_PREFIXES = {"bio": "BI", "iob1": "BI", "iobes": "BIES", "bilou": "BILU"}
_TAG = re.compile(r"([BIESLU])(?:-(.+))?")
_NO_TYPE = "_"


def recognized_scheme(sentences: Sequence[TaggedSentence], path: Path) -> str:
    """The scheme of the tags of a table, one of SCHEMES.

    Raises FocusError, with the line, if some tags are of a scheme of entities and others are not.
    """
    lines = {
        tag: line for one in reversed(sentences) for tag, line in zip(one.tags[::-1], one.lines[::-1], strict=True)
    }
    typed = sorted((tag for tag in lines if tag[1:2] == "-" and _TAG.fullmatch(tag)), key=lambda tag: lines[tag])
    without_types = "B" in lines and all(tag == _OUTSIDE or tag in "BIESLU" for tag in lines)
    if not typed and not without_types:
        return "bio" if lines.keys() == {_OUTSIDE} else PLAIN
    other = [] if without_types else [tag for tag in lines if tag != _OUTSIDE and tag not in typed]
    if other:
        first = min(other, key=lambda tag: lines[tag])
        raise FocusError(
            f"{path}, line {lines[first]}: the tag {first!r} is neither O nor like {typed[0]!r} on line "
            f"{lines[typed[0]]}; correct it, or give --scheme plain if the tags are not those of entities."
        )
    return _scheme_of(sentences, lines, path)


def _scheme_of(sentences: Sequence[TaggedSentence], lines: Mapping[str, int], path: Path) -> str:
    """The scheme of entity tags, whose first lines are ``lines``."""
    prefixes = {tag[0] for tag in lines} - {_OUTSIDE}
    if prefixes <= {*"BI"}:
        return "iob1" if _looks_like_iob1(sentences) else "bio"
    for scheme in ("iobes", "bilou"):
        if prefixes <= {*_PREFIXES[scheme]}:
            return scheme
    first = {prefix: next(tag for tag in lines if tag[0] == prefix) for prefix in sorted(prefixes)}
    raise FocusError(
        f"{path}: no scheme has all of the tags {', '.join(f'{tag!r} (line {lines[tag]})' for tag in first.values())}."
    )


def _looks_like_iob1(sentences: Sequence[TaggedSentence]) -> bool:
    """Whether entities begin with I-, and B- is only after an entity of the same type."""
    found = False
    for sentence in sentences:
        before: str | None = None
        for tag in sentence.tags:
            prefix, kind = _parsed(tag) or (_OUTSIDE, None)
            if prefix == "B" and kind != before:
                return False
            found |= prefix == "I" and kind != before
            before = kind
    return found


def as_bio(sentence: TaggedSentence, scheme: str, path: Path, repair: bool) -> TaggedSentence:
    """A sentence with its tags converted to BIO; ``scheme``: one of SCHEMES except plain.

    Raises FocusError, with the line, for a tag that the scheme does not have, and for one that it does not allow there,
    such as I- without B-. With ``repair``, the latter begins an entity.
    """
    converted, faults = [], 0
    before, open_kind = "", None  # the tag before; the type of the entity that the next tag can continue
    for number, tag in enumerate((*sentence.tags, _OUTSIDE)):
        line = sentence.lines[min(number, len(sentence.lines) - 1)]
        parsed = _parsed(tag)
        if parsed is None or (parsed[1] and parsed[0] not in _PREFIXES[scheme]):
            raise FocusError(f"{path}, line {line}: {tag!r} is not a tag of the scheme {scheme}.")
        prefix, kind = parsed
        continues = kind is not None and kind == open_kind and prefix in "IEL"
        wrong = ""
        if open_kind is not None and not continues and scheme in ("iobes", "bilou"):
            line, wrong = sentence.lines[number - 1], f"{before!r} is the last tag of an entity"
        elif kind is not None and not continues and prefix in "IEL" and scheme != "iob1":
            wrong = f"{tag!r} does not continue an entity"
        elif prefix == "B" and kind != open_kind and scheme == "iob1":
            wrong = f"{tag!r} is not after an entity of its type"
        if wrong and not repair:
            raise FocusError(
                f"{path}, line {line}: {wrong}, which the scheme {scheme} does not allow; correct it, or give --repair "
                "or another --scheme."
            )
        faults += bool(wrong)
        converted.append(_OUTSIDE if kind is None else f"{'I' if continues else 'B'}-{kind}")
        before, open_kind = tag, kind if prefix in "BI" else None
    return replace(sentence, tags=tuple(converted[:-1]), repaired=sentence.repaired + faults)


def _parsed(tag: str) -> tuple[str, str | None] | None:
    """Prefix and type of an entity's tag, or None if it is of no scheme. O has no type."""
    if tag == _OUTSIDE:
        return _OUTSIDE, None
    match = _TAG.fullmatch(tag)
    return (match[1], match[2] or _NO_TYPE) if match else None
