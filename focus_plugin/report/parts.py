"""What the pages of reports have in common: their head, and reading their parts from files."""

import base64
import hashlib
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


def _content_hash(text: str) -> str:
    """The hash with which a Content-Security-Policy allows this inline script or style and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
