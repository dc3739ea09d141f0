"""Finds the heads of exported models by name, and converts them to and from JSON."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from focus_plugin.discovery import Registry
from focus_plugin.errors import FocusError

from .head import ServingHead

HEADS: Registry[type[ServingHead]] = Registry(
    what="head",
    package="focus_export.heads",
    attribute="HEAD",
    group="focus_fairseq.serving_heads",
    accepts=lambda found: isinstance(found, type) and issubclass(found, ServingHead),
)


def head_to_json(head: ServingHead) -> dict[str, object]:
    """``head`` as JSON values: its name, and its fields as ``settings``."""
    return {"head": head.name, "settings": asdict(head)}  # type: ignore[call-overload]  # its classes are dataclasses


def head_from_json(values: Mapping[str, Any]) -> ServingHead:
    """The head in ``values``, which :func:`head_to_json` made; further keys are ignored.

    Raises FocusError if the head is not installed or its settings are wrong. The message does not name a file.
    """
    name, settings = values.get("head"), values.get("settings")
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise FocusError('has no "head" and its "settings".')
    return make_head(HEADS.find(name).declaration, settings)


def make_head(kind: type[ServingHead], settings: Mapping[str, Any]) -> ServingHead:
    """A head of the class ``kind`` with the fields ``settings``, which has lists instead of tuples.

    Raises FocusError for fields that are missing, unknown or wrong.
    """
    known: Any = fields(kind)  # type: ignore[arg-type]
    if absent := [field.name for field in known if field.default is MISSING and field.name not in settings]:
        raise FocusError(f'the settings of the head {kind.name} have no "{absent[0]}".')
    if strange := sorted(settings.keys() - {field.name for field in known}):
        raise FocusError(f'the head {kind.name} has no setting "{strange[0]}".')
    head = kind(**{name: _frozen(value) for name, value in settings.items()})
    if fault := head.fault():
        raise FocusError(f"{fault}.")
    return head


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
