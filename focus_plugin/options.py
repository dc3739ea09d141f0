"""Options declared once, as the fields of a dataclass.

The command line, fairseq's options, the manifest and the option tables of the documentation are made from the same
declaration. Importing one is fast: neither torch, fairseq nor click is needed to declare or to read options.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_KEY = "option"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One declared option.

    name: the name of the field. flag: its name on the command line, without the dashes. kind: str, int, float, bool or
    Path. default: None if there is none. required: whether the user has to give it. many: whether it may be given
    several times; its value is then a tuple. choices: the allowed values; empty if any value is allowed. minimum,
    maximum: bounds of a number, both included.
    """

    name: str
    flag: str
    kind: type
    default: Any
    required: bool
    many: bool
    help: str
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None


def option(
    default: Any = MISSING,
    *,
    help: str,  # the name that click and argparse use
    flag: str | None = None,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A dataclass field that is an option; without ``default`` it is required. ``help``: one sentence."""
    declared = {"help": help, "flag": flag, "choices": choices, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata={_KEY: declared})


def declared(options: type) -> tuple[Option, ...]:
    """The options that the fields of a dataclass declare, in order; fields that are no options are left out."""
    hints = get_type_hints(options)
    return tuple(_option(entry, hints[entry.name]) for entry in fields(options) if _KEY in entry.metadata)


def settings(options: Any) -> dict[str, Any]:
    """The values of an instance's options by field name, for a manifest. Paths are left out: a manifest lists input
    files by their digests. Several values are a list, as they are in JSON."""
    values = {entry.name: getattr(options, entry.name) for entry in declared(type(options)) if entry.kind is not Path}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def build(options: type, values: Mapping[str, Any]) -> Any:
    """An instance of the dataclass ``options`` from ``values``; entries that are not its fields are ignored."""
    return options(**{entry.name: values[entry.name] for entry in fields(options) if entry.name in values})


def _option(entry: Field[Any], hint: Any) -> Option:
    kind, many = _kind(hint)
    required = entry.default is MISSING
    values = dict(entry.metadata[_KEY])
    values["flag"] = values["flag"] or entry.name.replace("_", "-")
    default = None if required else entry.default
    return Option(name=entry.name, kind=kind, many=many, required=required, default=default, **values)


def _kind(hint: Any) -> tuple[type, bool]:
    """The type X of a hint ``X``, ``X | None`` or ``tuple[X, ...]``, and whether the hint is a tuple."""
    if get_origin(hint) in (Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        return get_args(hint)[0], True
    return hint, False
