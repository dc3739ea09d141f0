"""Finds declarations in a package of this program, among the entry points of installed packages, or in a file."""

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from focus_plugin.errors import FocusError

Declaration = TypeVar("Declaration")


@dataclass(frozen=True, kw_only=True)
class Found(Generic[Declaration]):
    """A declaration and where it was found.

    file: the file that the user named, if it is from one. package: the other package that it is from, if any. If both
    are None, it is one of this program's own.
    """

    declaration: Declaration
    file: Path | None = None
    package: str | None = None


@dataclass(frozen=True, kw_only=True)
class Registry(Generic[Declaration]):
    """All declarations of one kind.

    what: the word for one declaration in messages. package: the package of this program with one file for each
    declaration, named after it. attribute: the variable that holds the declaration in its file. group: the group of
    entry points in which other packages list theirs. accepts: a function that returns whether an object is such a
    declaration; it must then have a string ``name``.
    """

    what: str
    package: str
    attribute: str
    group: str
    accepts: Callable[[Any], bool]

    def shipped_names(self) -> tuple[str, ...]:
        """The names of this program's own declarations. The files are not imported."""
        return tuple(sorted(found.name for found in pkgutil.iter_modules([str(self._folder)])))

    def installed_names(self) -> tuple[str, ...]:
        """The names of the declarations of other installed packages. The packages are not imported."""
        return tuple(sorted({entry.name for entry in self._entry_points()}))

    def names(self) -> tuple[str, ...]:
        """The names of all declarations, sorted."""
        return tuple(sorted({*self.shipped_names(), *self.installed_names()}))

    def shipped(self) -> tuple[Declaration, ...]:
        """This program's own declarations, sorted by name. Raises FocusError if one cannot be imported."""
        return tuple(map(self._shipped, self.shipped_names()))

    def find(self, name: str, advice: str = "") -> Found[Declaration]:
        """The declaration called ``name``.

        Raises FocusError if there is none (``advice`` is appended to the message), if two have this name, and if it
        cannot be imported.
        """
        shipped, installed = name in self.shipped_names(), list(self._entry_points().select(name=name))
        if not shipped and not installed:
            raise FocusError(f"There is no {self.what} {name!r}; give one of {', '.join(self.names())}{advice}.")
        if len(installed) + shipped > 1:
            where = " and ".join(["focus-fairseq"] * shipped + [_distribution(entry) for entry in installed])
            raise FocusError(f"The {self.what} {name!r} exists twice, in {where}; uninstall one of them.")
        if shipped:
            return Found(declaration=self._shipped(name))
        return Found(declaration=self._installed(installed[0]), package=_distribution(installed[0]))

    def find_file(self, path: Path) -> Found[Declaration]:
        """The declaration in a file that the user named.

        Raises FocusError if there is none, if an installed one has the same name, and if it cannot be imported.
        """
        if not path.is_file():
            raise FocusError(f"{path}: no such file.")
        found = self._declared(path, imported(path, lambda: _load(path.resolve())))
        name = getattr(found, "name", "")
        if name in self.names():
            raise FocusError(
                f"{path}: its {self.attribute} is called {name!r}, as an installed {self.what} is; rename it."
            )
        return Found(declaration=found, file=path)

    def _entry_points(self) -> EntryPoints:
        return _entry_points(self.group, tuple(sys.path))

    @property
    def _folder(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        assert spec is not None
        assert spec.submodule_search_locations
        return Path(spec.submodule_search_locations[0])

    def _shipped(self, name: str) -> Declaration:
        file = self._folder / f"{name}.py"
        found: Any = self._declared(file, imported(file, lambda: importlib.import_module(f"{self.package}.{name}")))
        if found.name != name:
            raise FocusError(
                f"{file}: its {self.attribute} is called {found.name!r}; it must have the name of its file."
            )
        declaration: Declaration = found
        return declaration

    def _declared(self, file: Path, module: ModuleType) -> Declaration:
        found: Any = getattr(module, self.attribute, None)
        if not self.accepts(found):
            raise FocusError(f"{file}: declares no {self.what}; it must define {self.attribute}.")
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
            raise FocusError(f"{package}: its entry point {entry.name} of {self.group} is not a {self.what}.")
        if found.name != entry.name:
            raise FocusError(
                f"{package}: its entry point {entry.name} of {self.group} is the {self.what} {found.name!r}."
            )
        declaration: Declaration = found
        return declaration


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> EntryPoints:
    """Those of all packages on Python's path ``path``. A search reads a file of each installed package."""
    return entry_points(group=group)


def _load(path: Path) -> ModuleType:
    """The module in a file. It is executed only the first time."""
    name = f"focus_file_{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(path):
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def imported(file: Path, load: Callable[[], Any]) -> Any:
    """The result of ``load``. If it raises an exception, a FocusError is raised that names the line of ``file``."""
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
