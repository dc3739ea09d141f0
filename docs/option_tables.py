"""The option tables of the pages beside this file, made from the commands' declarations.

A page marks the place of a table by ``<!-- options of focus NAME -->`` and ``<!-- end of options -->``, and that of the
methods by ``<!-- options of methods -->``.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import click
from focus_cli.declared import click_option
from focus_cli.main import main

from focus_plugin.mixing.discovery import METHODS
from focus_plugin.transfer.options import method_options

HEADER = ("| option | default | meaning |", "|---|---|---|")

UNLISTED = ("extra", "quiet")  # of many commands, and described once

ARGUMENT = re.compile(r"^\s*([A-Z]+): (.+)$", re.MULTILINE)  # a paragraph of a command's help

TABLE = re.compile(r"<!-- options of ([\w ]+) -->\n.*?<!-- end of options -->", re.DOTALL)


def with_tables(page: str) -> str:
    """The text of a page with its tables as they have to be."""
    return TABLE.sub(lambda match: _marked(match[1]), page)


def _marked(name: str) -> str:
    content = methods() if name == "methods" else table(name.split()[1:])
    return f"<!-- options of {name} -->\n{content}\n<!-- end of options -->"


def methods() -> str:
    """What each shipped method does, the paper it is from, and its options."""
    parts = []
    for method in METHODS.shipped():
        options = [click_option(entry) for entry in method_options(method)]
        about = f"**{method.name}**: {method.summary} {method.paper}".strip()
        parts.append("\n".join([about, *(["", *HEADER, *map(_row, options)] if options else [])]))
    return "\n\n".join(parts)


def table(path: Sequence[str]) -> str:
    """The arguments and options of the command named by ``path``, as a Markdown table for each group of them."""
    command: click.Command = main
    context = click.Context(main, info_name="focus")
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(context, name)
        assert found is not None, f"no command focus {' '.join(path)}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    arguments = dict(ARGUMENT.findall(command.help or ""))
    rows = [
        _row(parameter, arguments)
        for parameter in command.get_params(context)
        if parameter.name not in UNLISTED and "--help" not in parameter.opts
    ]
    return "\n".join([*HEADER, *rows])


def _row(parameter: click.Parameter, arguments: Mapping[str, str] = MappingProxyType({})) -> str:
    if isinstance(parameter, click.Option):
        name, text = parameter.opts[0], parameter.help or ""
    else:
        name = str(parameter.name).upper()
        text = arguments[name]
    if isinstance(parameter.type, click.Choice):
        text += f" One of: {', '.join(map(str, parameter.type.choices))}."
    return "| {} | {} | {} |".format(f"`{name}`", _default(parameter), text.replace("|", "\\|"))


def _default(parameter: click.Parameter) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if isinstance(default, bool) or default is None or not isinstance(default, int | float | str):
        return ""
    return f"{default:,}" if isinstance(default, int) else str(default)


def update(folder: Path, check: bool) -> list[str]:
    """Bring the pages in ``folder`` up to date unless ``check``; the names of those that were not."""
    changed = []
    for path in sorted(folder.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if with_tables(page) != page:
            changed.append(path.name)
            if not check:
                path.write_text(with_tables(page), encoding="utf-8")
    return changed


if __name__ == "__main__":
    outdated = update(Path(__file__).parent, "--check" in sys.argv[1:])
    print("\n".join(outdated))
    sys.exit(bool(outdated) and "--check" in sys.argv[1:])
