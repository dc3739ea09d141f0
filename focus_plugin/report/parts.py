"""What the pages of reports have in common: their head, tables, and reading their parts from files."""

import base64
import hashlib
from collections.abc import Collection, Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template


def part(name: str, package: str = "focus_plugin.report") -> str:
    """The text of a file beside the modules of ``package``."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def head(title: str, style: str, program: str = "") -> str:
    """Everything before the body of a page: its title and style, and the policy that allows these parts only.

    ``program``: the page's script, which is in its body. The page can load nothing from the network.
    """
    return Template(part("head.html")).substitute(
        title=escape(title),
        style=style,
        style_hash=_content_hash(style),
        scripts=f"script-src '{_content_hash(program)}';" if program else "",
    )


def table(columns: Sequence[str], lines: Iterable[Sequence[str]], numeric: Collection[int] = ()) -> str:
    """A table with a line of the names of its columns. The columns ``numeric``, counted from 0, are numbers."""

    def row(tag: str, line: Sequence[str]) -> str:
        classes = (' class="number"' if i in numeric else "" for i in range(len(line)))
        return "".join(f"<{tag}{of}>{escape(cell)}</{tag}>" for cell, of in zip(line, classes, strict=True))

    body = "\n".join(f"<tr>{row('td', line)}</tr>" for line in lines)
    return f"<table><thead><tr>{row('th', columns)}</tr></thead>\n<tbody>{body}</tbody></table>"


def _content_hash(text: str) -> str:
    """The hash with which a Content-Security-Policy allows this inline script or style and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
