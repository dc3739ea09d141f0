"""Finding methods: in ``focus_plugin/methods``, among the entry points of installed packages, or in a file."""

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import focus_plugin.methods
from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Method

GROUP = "focus_fairseq.methods"


@dataclass(frozen=True, kw_only=True)
class FoundMethod:
    """A method and where it was found: in a ``file`` that the user named, in another ``package``, or among ours."""

    method: Method
    file: Path | None = None
    package: str | None = None


def shipped_methods() -> tuple[Method, ...]:
    """The methods in ``focus_plugin/methods``, by name."""
    return tuple(_shipped(name) for name in _shipped_names())


def installed_names() -> tuple[str, ...]:
    """The names of the methods of other installed packages, which are not imported for that."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def find_method(name: str) -> FoundMethod:
    """The method called ``name``, or the one in the file ``name`` if that ends in ``.py``.

    Raises FocusError if there is none, if two have the name, and if it cannot be imported.
    """
    if name.endswith(".py"):
        return _from_file(Path(name))
    shipped, installed = name in _shipped_names(), list(entry_points(group=GROUP, name=name))
    if not shipped and not installed:
        known = ", ".join((*_shipped_names(), *installed_names()))
        raise FocusError(f"There is no method {name!r}; give one of {known}, or a file whose name ends in .py.")
    if len(installed) + shipped > 1:
        packages = [_package(entry) for entry in installed]
        where = " and ".join(["focus-fairseq"] * shipped + packages)
        raise FocusError(f"The method {name!r} is there twice, in {where}; uninstall one or give a file instead.")
    if shipped:
        return FoundMethod(method=_shipped(name))
    return FoundMethod(method=_installed(installed[0]), package=_package(installed[0]))


def _shipped_names() -> tuple[str, ...]:
    return tuple(sorted(found.name for found in pkgutil.iter_modules(focus_plugin.methods.__path__)))


def _shipped(name: str) -> Method:
    file = Path(focus_plugin.methods.__path__[0]) / f"{name}.py"
    method = _declared(file, _imported(file, lambda: importlib.import_module(f"focus_plugin.methods.{name}")))
    if method.name != name:
        raise FocusError(f"{file}: its METHOD is called {method.name!r}; it must have the name of its file.")
    return method


def _installed(entry: EntryPoint) -> Method:
    package, module = _package(entry), entry.value.partition(":")[0].strip()
    try:
        file = Path(getattr(importlib.util.find_spec(module), "origin", None) or module)
    except (ImportError, ValueError):
        file = Path(module)
    method = _imported(file, entry.load)
    if not isinstance(method, Method):
        raise FocusError(f"{package}: its entry point {entry.name} of {GROUP} is no Method.")
    if method.name != entry.name:
        raise FocusError(f"{package}: its entry point {entry.name} of {GROUP} is the method {method.name!r}.")
    return method


def _from_file(path: Path) -> FoundMethod:
    if not path.is_file():
        raise FocusError(f"{path}: no such file.")
    method = _declared(path, _imported(path, lambda: _load(path.resolve())))
    if method.name in (*_shipped_names(), *installed_names()):
        raise FocusError(f"{path}: its METHOD is called {method.name!r}, as an installed method is; rename it.")
    return FoundMethod(method=method, file=path)


def _load(path: Path) -> ModuleType:
    """The module in a file, which is executed once however often it is asked for."""
    name = f"focus_method_{path.stem}"
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


def _imported(file: Path, load: Callable[[], Any]) -> Any:
    """What ``load`` gives; whatever goes wrong in it becomes a FocusError with the line of ``file``."""
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


def _declared(file: Path, module: ModuleType) -> Method:
    method = getattr(module, "METHOD", None)
    if not isinstance(method, Method):
        raise FocusError(f"{file}: declares no method; METHOD = Method(...) is expected in it.")
    return method


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
