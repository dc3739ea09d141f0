"""Finding declarations: in a package of this program, or among the entry points of other installed packages."""

import importlib
import importlib.util
import pkgutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from focus_plugin.errors import FocusError

Declaration = TypeVar("Declaration")


@dataclass(frozen=True, kw_only=True)
class Registry(Generic[Declaration]):
    """Where declarations of one kind are found.

    what: what messages call one. package: has a file for each, named after it. attribute: the declaration's name in its
    file. group: entry points of other packages. accepts: whether an object is such a declaration; its ``name`` is then
    a string.
    """

    what: str
    package: str
    attribute: str
    group: str
    accepts: Callable[[Any], bool]

    def shipped_names(self) -> tuple[str, ...]:
        """The names of this program's own; none is imported."""
        return tuple(sorted(found.name for found in pkgutil.iter_modules([str(self._folder)])))

    def installed_names(self) -> tuple[str, ...]:
        """The names of those of other installed packages; none is imported."""
        return tuple(sorted({entry.name for entry in entry_points(group=self.group)}))

    def names(self) -> tuple[str, ...]:
        """All names."""
        return tuple(sorted({*self.shipped_names(), *self.installed_names()}))

    def find(self, name: str, advice: str = "") -> tuple[Declaration, str | None]:
        """The declaration called ``name``, and the package it is from, None for this program's own.

        Raises FocusError, which ``advice`` ends, if there is none; if two have the name; and if it cannot be imported.
        """
        shipped, installed = name in self.shipped_names(), list(entry_points(group=self.group, name=name))
        if not shipped and not installed:
            raise FocusError(f"There is no {self.what} {name!r}; give one of {', '.join(self.names())}{advice}.")
        if len(installed) + shipped > 1:
            where = " and ".join(["focus-fairseq"] * shipped + [_distribution(entry) for entry in installed])
            raise FocusError(f"The {self.what} {name!r} is there twice, in {where}; uninstall one.")
        if shipped:
            return self._shipped(name), None
        return self._installed(installed[0]), _distribution(installed[0])

    @property
    def _folder(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        assert spec is not None
        assert spec.submodule_search_locations
        return Path(spec.submodule_search_locations[0])

    def _shipped(self, name: str) -> Declaration:
        file = self._folder / f"{name}.py"
        module = imported(file, lambda: importlib.import_module(f"{self.package}.{name}"))
        found: Any = getattr(module, self.attribute, None)
        if not self.accepts(found):
            raise FocusError(f"{file}: declares no {self.what}; {self.attribute} is expected in it.")
        if found.name != name:
            raise FocusError(f"{file}: its {self.attribute} is called {found.name!r}; it must have its file's name.")
        declaration: Declaration = found
        return declaration

    def _installed(self, entry: EntryPoint) -> Declaration:
        package, module = _distribution(entry), entry.value.partition(":")[0].strip()
        try:
            file = Path(getattr(importlib.util.find_spec(module), "origin", None) or module)
        except (ImportError, ValueError):
            file = Path(module)
        found: Any = imported(file, entry.load)
        if not self.accepts(found):
            raise FocusError(f"{package}: its entry point {entry.name} of {self.group} is no {self.what}.")
        if found.name != entry.name:
            raise FocusError(
                f"{package}: its entry point {entry.name} of {self.group} is the {self.what} {found.name!r}."
            )
        declaration: Declaration = found
        return declaration


def imported(file: Path, load: Callable[[], Any]) -> Any:
    """What ``load`` returns; whatever it raises becomes a FocusError with the line of ``file`` that is to blame."""
    try:
        return load()
    except FocusError:
        raise
    except Exception as error:
        raise FocusError(f"{_line(file, error)}: cannot be imported ({type(error).__name__}: {error}).") from error


def _line(file: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == file.resolve()]
    return f"{file}, line {lines[-1]}" if lines else str(file)


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
