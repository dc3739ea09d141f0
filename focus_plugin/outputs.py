"""The function by which every command makes its output directory."""

from collections.abc import Callable, Mapping
from dataclasses import replace
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
    if already_made(output, manifest):
        already_there(output, launch)
    else:
        if forecast:
            begin(forecast(), launch)
        with whole_directory(output) as directory:
            counts = build(directory)
            if card:
                (directory / CARD).write_text(card(replace(manifest, counts=counts)), encoding="utf-8")
            write_manifest(directory, manifest, counts)
    return manifest_of(output)
