"""Finds methods in ``focus_plugin/methods``, in installed packages, or in a file that the user names."""

from pathlib import Path

from focus_plugin.discovery import Found, Registry
from focus_plugin.mixing.declaration import Method

METHODS: Registry[Method] = Registry(
    what="method",
    package="focus_plugin.methods",
    attribute="METHOD",
    group="focus_fairseq.methods",
    accepts=lambda found: isinstance(found, Method),
)


def find_method(name: str) -> Found[Method]:
    """The method called ``name``, or the one in the file ``name`` if that ends in ``.py``.

    Raises FocusError as :meth:`Registry.find` and :meth:`Registry.find_file` do.
    """
    if name.endswith(".py"):
        return METHODS.find_file(Path(name))
    return METHODS.find(name, ", or a file whose name ends in .py")
