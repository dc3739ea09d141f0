"""What the pages of reports have in common: their parts in files, and the hashes that allow scripts and styles."""

import base64
import hashlib
from importlib.resources import files


def part(name: str, package: str = "focus_plugin.report") -> str:
    """The text of a file beside the modules of ``package``."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """The hash with which a Content-Security-Policy allows this inline script or style and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
