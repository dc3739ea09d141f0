"""The functions by which every command makes its output directory."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from focus_plugin.files import whole_directory
from focus_plugin.forecast.forecast import AT_ONCE, Forecast, Launch, already_there, begin
from focus_plugin.manifest import Manifest, already_made, manifest_of, write_manifest

CARD = "README.md"


def make_directory(
    output: Path,
    manifest: Manifest,
    build: Callable[[Path], Mapping[str, object]],
    forecast: Callable[[], Forecast] | None = None,
    launch: Launch = AT_ONCE,
    card: Callable[[Manifest], str] | None = None,
) -> Manifest:
    """Make the directory ``output`` that ``manifest`` describes, unless it already exists; return the manifest in it.

    ``build`` fills the directory that it is given, a temporary one beside ``output`` that is renamed to ``output`` at
    the end. It returns the counts for the manifest. ``forecast`` says what that takes, and ``launch`` how to begin, see
    ``begin``. ``card`` makes the content of ``README.md`` from the manifest with the counts.

    Raises FocusError, and changes nothing, if ``output`` holds anything else or the machine is too small.
    """

    def with_card(directory: Path) -> Mapping[str, object]:
        """Fill the directory, and write its card."""
        counts = build(directory)
        if card:
            (directory / CARD).write_text(card(replace(manifest, counts=counts)), encoding="utf-8")
        return counts

    return _make(output, manifest, with_card, forecast, launch, work="")


def make_resumable_directory(
    output: Path,
    manifest: Manifest,
    build: Callable[[Path], Mapping[str, object]],
    forecast: Callable[[], Forecast],
    launch: Launch,
) -> Manifest:
    """The same; ``build`` may find what an interrupted call for the same manifest left in the directory."""
    described = json.dumps(asdict(replace(manifest, counts={}, made_of={})), sort_keys=True)
    return _make(output, manifest, build, forecast, launch, sha256(described.encode()).hexdigest()[:16])


def _make(
    output: Path,
    manifest: Manifest,
    build: Callable[[Path], Mapping[str, object]],
    forecast: Callable[[], Forecast] | None,
    launch: Launch,
    work: str,
) -> Manifest:
    if already_made(output, manifest):
        already_there(output, launch)
    else:
        if forecast:
            begin(forecast(), launch)
        with whole_directory(output, work) as directory:
            write_manifest(directory, manifest, build(directory))
    return manifest_of(output)
