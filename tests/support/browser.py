"""A page opened in a real browser."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = "not an origin"  # who asks, in the network log, where no page does


@dataclass(frozen=True)
class Opened:
    """dom: the page's HTML after its scripts ran. console: its lines there, errors too. requests: the addresses the
    page asked for over the network, but not those the browser asks for by itself."""

    dom: str
    console: list[str]
    requests: set[str]


def open_page(page: Path, fragment: str, directory: Path) -> Opened:
    """Open a file with Chromium, whose own files go to ``directory``; skips the test where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    log = directory / "network.json"
    command = [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--enable-logging=stderr",
        "--virtual-time-budget=20000",
        f"--user-data-dir={directory / 'profile'}",
        f"--log-net-log={log}",
        "--dump-dom",
        f"{page.as_uri()}{fragment}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Opened(done.stdout, console, _requests(json.loads(log.read_text(encoding="utf-8"))))


def _requests(log: dict) -> set[str]:
    start = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    started = [event["params"] for event in log["events"] if event["type"] == start and "params" in event]
    return {request["url"] for request in started if request.get("initiator", BROWSER) != BROWSER}


@dataclass
class Element:
    """name: the tag. attributes: its own. text: all the text inside. inner: the elements inside, of any depth."""

    name: str
    attributes: dict[str, str | None]
    text: str
    inner: list["Element"]

    def all(self, name: str) -> list["Element"]:
        """The elements called ``name`` inside this one, in the order of the page."""
        return [element for element in self.inner if element.name == name]


def elements_with_id(dom: str) -> dict[str, Element]:
    """The elements of a page that have an id."""
    reader = _Reader()
    reader.feed(dom)
    reader.close()
    return {str(e.attributes["id"]): e for e in reader.root.inner if "id" in e.attributes}


class _Reader(HTMLParser):
    VOID = ("meta", "input", "link", "br", "img")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("page", {}, "", [])
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), "", [])
        for outer in self.open:
            outer.inner.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self.open.pop().name != tag:
            pass

    def handle_data(self, data: str) -> None:
        for outer in self.open:
            outer.text += data
