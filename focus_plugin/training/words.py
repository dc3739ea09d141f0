"""Reads the words of a command that the user wrote for fairseq-train."""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def last_setting(words: Sequence[str], option: str, kind: Callable[[str], T]) -> T | None:
    """The last value of ``option`` in ``words``, or None if it is not there."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(option, dest="setting", type=kind)
    setting: T | None = parser.parse_known_args(words)[0].setting
    return setting
