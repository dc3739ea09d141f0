"""What a directory holds and what it was made from: the file ``focus.json`` in everything the commands write.

A command computes the manifest of its output before it starts. If the output directory already has this manifest, there
is nothing to do. If it holds anything else, the command fails and leaves the directory as it is.
"""

import importlib
import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from focus_plugin import __version__
from focus_plugin.errors import FocusError
from focus_plugin.files import parse_json, require_place, write_json

FILE = "focus.json"
UNFINISHED = ".unfinished"  # suffix of the directory that holds the checkpoints of an unfinished training


@dataclass(frozen=True)
class Manifest:
    """Describes the content of a directory.

    kind: what the directory is, such as "vocabulary". options, inputs (name to SHA-256) and made_by (module to version)
    determine its content. counts: figures measured while it was made; nothing depends on them. files: the size in bytes
    of every other file in the directory, by its path relative to it. made_of: the manifests, without files, of the
    directories that it was made from, by their names in the command.
    """

    kind: str
    options: Mapping[str, object]
    inputs: Mapping[str, str]
    made_by: Mapping[str, str]
    counts: Mapping[str, Any]
    files: Mapping[str, int] = field(default_factory=dict)
    made_of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def parents(self) -> "dict[str, Manifest]":
        """The manifests in ``made_of``."""
        return {name: Manifest(**values) for name, values in self.made_of.items()}

    def history(self) -> "list[Manifest]":
        """The manifests of the directories that this one was made from, directly or not, the earliest first."""
        found: list[Manifest] = []
        for parent in self.parents().values():
            found += [manifest for manifest in (*parent.history(), parent) if manifest not in found]
        return found

    def same_content(self, other: "Manifest") -> bool:
        """Whether both describe the same content: kind, options, inputs and made_by are equal."""
        return (self.kind, self.options, self.inputs, self.made_by) == (
            other.kind,
            other.options,
            other.inputs,
            other.made_by,
        )


def describe(
    kind: str,
    options: Mapping[str, object],
    inputs: Mapping[str, str],
    modules: tuple[str, ...] = (),
    made_of: Mapping[str, Path] = MappingProxyType({}),
) -> Manifest:
    """The manifest of a directory that will be made, with the installed versions of ``modules``.

    ``made_of``: the directories that it is made from, by their names in the command; those without a manifest are left
    out.
    """
    versions = {module: installed_version(module) for module in modules}
    made_by = {"focus-fairseq": __version__, **versions}
    parents = {name: read_manifest(directory) for name, directory in made_of.items()}
    known = {name: {**asdict(parent), "files": {}} for name, parent in parents.items() if parent}
    return Manifest(kind, dict(options), dict(inputs), made_by, {}, made_of=known)


def installed_version(module: str) -> str:
    """The version of the distribution that a module was installed from, or else the module's ``__version__``.

    The distribution may have another name than the module, such as fairseq-fixed or onnxruntime-gpu. Raises
    ModuleNotFoundError if the module is not installed.
    """
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        if found := _distributions().get(module):
            return importlib.metadata.version(found[0])
        return str(importlib.import_module(module).__version__)


@cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions of each module; finding them takes a third of a second."""
    return importlib.metadata.packages_distributions()


def write_manifest(directory: Path, manifest: Manifest, counts: Mapping[str, object]) -> None:
    """Write ``focus.json`` into ``directory``. Must be called last, since it lists the files that are there."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and path != directory / FILE)
    files = {path.relative_to(directory).as_posix(): path.stat().st_size for path in paths}
    write_json(directory / FILE, {**asdict(manifest), "counts": dict(counts), "files": files})


def read_manifest(directory: str | Path) -> Manifest | None:
    """The manifest in ``directory``, or None if the directory has none. Raises FocusError if it is damaged."""
    path = Path(directory) / FILE
    if not path.is_file():
        return None
    try:
        manifest = Manifest(**parse_json(path.read_text(encoding="utf-8")))
        if not all(isinstance(value, str if name == "kind" else dict) for name, value in vars(manifest).items()):
            raise TypeError("kind must be a string, every other entry an object")
        if not all(isinstance(size, int) for size in manifest.files.values()):
            raise TypeError("every entry of files must be a number")
        return manifest
    except (ValueError, TypeError) as error:
        raise FocusError(f"{path}: is not a manifest of this program, or is damaged ({error}).") from error


def manifest_of(output: str | Path) -> Manifest:
    """The manifest of a finished directory. Raises FocusError if it has none."""
    manifest = read_manifest(output)
    if manifest is None:
        raise FocusError(f"{output}: its {FILE} is missing.")
    return manifest


def already_made(output: str | Path, manifest: Manifest) -> bool:
    """Whether ``output`` already holds what ``manifest`` describes; False if it is absent or empty.

    Raises FocusError if it holds anything else, if a file in it is missing, or if it cannot be created.
    """
    output = Path(output)
    if output.is_file():
        raise FocusError(f"{output}: is a file; choose another --output or remove it.")
    if not output.exists():
        require_place(output)
        return False
    if not any(output.iterdir()):
        if output.is_symlink() or os.path.ismount(output) or output.resolve() == Path.cwd():
            raise FocusError(
                f"{output}: is a link, a mount point or the current directory, which cannot be replaced; name a new "
                "directory inside it as --output."
            )
        return False
    existing = read_manifest(output)
    if existing is None or not existing.same_content(manifest):
        what = f"{_with_article(existing.kind)} made from other input or options" if existing else None
        raise FocusError(
            f"{output}: already holds {what or 'files this program did not write'}; choose another --output or "
            "remove it."
        )
    for name, size in existing.files.items():
        if not (output / name).is_file() or (output / name).stat().st_size != size:
            raise FocusError(
                f"{output / name}: is missing or was changed; remove {output} and repeat the command, or choose "
                "another --output."
            )
    return True


def _with_article(kind: str) -> str:
    if kind.endswith("data"):
        return kind
    return f"an {kind}" if kind[:1].lower() in "aeio" else f"a {kind}"


def expect_kind(directory: str | Path, *kinds: str) -> Manifest:
    """The manifest of ``directory``. Raises FocusError if the directory is not one of ``kinds``."""
    if not Path(directory).is_dir():
        raise FocusError(f"{directory}: no such directory.")
    manifest = read_manifest(directory)
    wanted = " or ".join(map(_with_article, kinds))
    if manifest is None:
        raise FocusError(f"{directory}: has no {FILE}; expected {wanted} made by this program.")
    if manifest.kind not in kinds:
        raise FocusError(f"{directory}: is {_with_article(manifest.kind)}; expected {wanted}.")
    return manifest
