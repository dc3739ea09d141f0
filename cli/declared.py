"""Declared options as click's."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from focus_plugin.options import Option, declared

Decorated = Callable[..., Any]


class FiniteRange(click.FloatRange):
    """A finite number within bounds; click itself accepts ``nan`` in any range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or an error in click's words."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def options_of(*declarations: type) -> Callable[[Decorated], Decorated]:
    """Add the options that dataclasses declare to a command, in their order; the values keep the fields' names."""
    entries = [entry for declaration in declarations for entry in declared(declaration)]

    def decorate(function: Decorated) -> Decorated:
        for entry in reversed(entries):
            function = click.option(*_names(entry), **_settings(entry))(function)
        return function

    return decorate


def click_option(entry: Option) -> click.Option:
    """A declared option, for a command whose options are known only when it is called."""
    return click.Option(_names(entry), **_settings(entry))


def _names(entry: Option) -> list[str]:
    return [f"--{entry.flag}", entry.name]


def _settings(entry: Option) -> dict[str, Any]:
    shared: dict[str, Any] = {"help": entry.help, "required": entry.required, "multiple": entry.many}
    if not entry.required:  # click treats a default, even None, as a value
        shared["default"] = (entry.default or None) if entry.many else entry.default
    if entry.kind is bool:
        return {**shared, "is_flag": True, "multiple": False}
    return {**shared, "type": _type(entry)}


def _type(entry: Option) -> Any:
    if entry.choices:
        return click.Choice(entry.choices)
    if entry.minimum is None and entry.maximum is None:
        return Path if entry.kind is Path else entry.kind
    bounds: Any = (entry.minimum, entry.maximum)
    return click.IntRange(*bounds) if entry.kind is int else FiniteRange(*bounds)
