"""Adds declared options to fairseq's argparse parser as ``--focus-FLAG``; their values can be saved in a checkpoint."""

import argparse
import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from focus_plugin.options import Option

PREFIX = "--focus-"
_METAVARS = {Path: "PATH", str: "TEXT", int: "N", float: "X"}


def add_options(parser: ArgumentParser, entries: Iterable[Option]) -> None:
    """Add options to a parser. An option that the user does not give is None, not its declared default."""
    for entry in entries:
        default = "" if entry.default in (None, False, ()) else f" [{entry.default}]"
        settings: dict[str, Any] = {"dest": f"focus_{entry.name}", "default": None}
        settings["help"] = f"{entry.help}{default}".replace("%", "%%")
        if entry.kind is bool:
            settings |= {"action": "store_const", "const": True}
        else:
            settings |= {"type": _type(entry), "choices": entry.choices or None}
            settings |= {} if entry.choices else {"metavar": _METAVARS[entry.kind]}
            settings |= {"action": "append"} if entry.many else {}
        parser.add_argument(f"{PREFIX}{entry.flag}", **settings)


def given(arguments: Namespace, entries: Iterable[Option]) -> dict[str, Any]:
    """The options among ``entries`` that the user gave, by name; files are paths."""
    values = {entry: getattr(arguments, f"focus_{entry.name}", None) for entry in entries}
    return {entry.name: _value(entry, value) for entry, value in values.items() if value is not None}


def peek(flag: str) -> str | None:
    """The value of ``flag`` on the command line of this process, read before fairseq parses it.

    A model has to add its options before it knows their values. fairseq reads ``--user-dir`` in the same way.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(flag, dest="value")
    value: str | None = parser.parse_known_args()[0].value
    return value


def _value(entry: Option, value: Any) -> Any:
    if entry.many:
        return tuple(map(Path, value)) if entry.kind is Path else tuple(value)
    return Path(value) if entry.kind is Path else value


def _type(entry: Option) -> Callable[[str], Any]:
    if entry.kind is Path:
        return str
    low = -math.inf if entry.minimum is None else entry.minimum
    high = math.inf if entry.maximum is None else entry.maximum
    if math.isinf(low) and math.isinf(high):
        return entry.kind

    def number(text: str) -> Any:
        """The number that ``text`` is, if it is within the limits; argparse prints the error."""
        value = entry.kind(text)
        if not low <= value <= high:
            raise ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    return number
