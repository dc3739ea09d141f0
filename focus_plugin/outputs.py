"""The function by which every command makes its output directory."""

from collections.abc import Callable, Mapping
from pathlib import Path

from focus_plugin.files import whole_directory
from focus_plugin.manifest import Manifest, already_made, manifest_of, write_manifest


def make_directory(output: Path, manifest: Manifest, build: Callable[[Path], Mapping[str, object]]) -> Manifest:
    """Make the directory ``output`` that ``manifest`` describes, unless it already exists; return the manifest in it.

    ``build`` fills the directory that it is given, a temporary one beside ``output`` that is renamed to ``output`` at
    the end. It returns the counts for the manifest. Raises FocusError, and changes nothing, if ``output`` holds
    anything else.
    """
    if not already_made(output, manifest):
        with whole_directory(output) as directory:
            write_manifest(directory, manifest, build(directory))
    return manifest_of(output)
