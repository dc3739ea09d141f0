"""The one way in which a command makes its output directory."""

from collections.abc import Callable, Mapping
from pathlib import Path

from focus_plugin.files import whole_directory
from focus_plugin.manifest import Manifest, already_made, manifest_of, write_manifest


def make_directory(output: Path, manifest: Manifest, build: Callable[[Path], Mapping[str, object]]) -> Manifest:
    """Make ``output``, which ``manifest`` describes, unless it is there already; return the manifest in it.

    ``build`` fills the directory it is given, a temporary one beside ``output`` that takes its place at the end, and
    returns what it counted on the way. Raises FocusError if ``output`` holds anything else; nothing is then changed.
    """
    if not already_made(output, manifest):
        with whole_directory(output) as directory:
            write_manifest(directory, manifest, build(directory))
    return manifest_of(output)
