"""Metadata at the beginning of a model card, in YAML."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def front_matter(values: Mapping[str, Any]) -> str:
    """Mappings, lists, strings, numbers and None as a block of YAML between two lines ``---``.

    Keys must be plain words.
    """
    return "\n".join(["---", *_mapping(values), "---", ""])


def _mapping(values: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, value in values.items():
        inner = _lines(value)
        lines += [f"{key}: {inner[0]}"] if isinstance(inner, tuple) else [f"{key}:", *(f"  {line}" for line in inner)]
    return lines


def _lines(value: Any) -> list[str] | tuple[str]:
    """The lines of a mapping or list that is not empty, or the only line of any other value."""
    if isinstance(value, Mapping) and value:
        return _mapping(value)
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        lines = []
        for entry in value:
            first, *more = _lines(entry)
            lines += [f"- {first}", *(f"  {line}" for line in more)]
        return lines
    return (_scalar(value),)


def _scalar(value: Any) -> str:
    """A value as in JSON, except for what YAML 1.1 reads otherwise: numbers without a point, invisible characters."""
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        mantissa, exponent, rest = text.partition("e")
        return text if "." in mantissa else f"{mantissa}.0{exponent}{rest}"
    return "".join(character if character.isprintable() else f"\\U{ord(character):08x}" for character in text)
