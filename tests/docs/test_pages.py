"""The documentation is true: its option tables, its links, and the commands that it shows."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from focus_cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
CODE = re.compile(r"^```[\s\S]*?^```$|^ {4}.*$|`[^`\n]+`", re.MULTILINE)


def test_option_tables_are_those_of_the_commands():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "option_tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"Out of date: {done.stdout or done.stderr}; run ./scripts/docs and commit the pages."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    prose = CODE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not link.startswith(("http://", "https://")):
            name, _, anchor = link.partition("#")
            target = (page.parent / name) if name else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                assert anchor in _anchors(target), f"{page.name}: {link}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _shown_commands() -> list[tuple[str, str]]:
    """Every ``focus ...`` command in a code block, with its page."""
    found = []
    for page in PAGES:
        text = re.sub(r"\\\n\s+", "", page.read_text(encoding="utf-8"))
        lines = re.findall(r"^ {4}(focus(?:-export)? [^>\n]*)$", text, re.MULTILINE)
        found += [(page.name, line) for line in lines]
    return found


SHOWN = _shown_commands()


def test_commands_are_shown():
    assert len(SHOWN) > 20


@pytest.mark.parametrize(("page", "line"), SHOWN, ids=[f"{page}: {line}"[:80] for page, line in SHOWN])
def test_shown_commands_parse(page, line, tmp_path, monkeypatch):
    """In a directory with the files that the page says to save."""
    monkeypatch.chdir(tmp_path)
    text = next(path for path in PAGES if path.name == page).read_text(encoding="utf-8")
    for name, code in re.findall(r"Save it as `([\w.]+)`:\n\n```python\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(code, encoding="utf-8")
    words = shlex.split(line, comments=True)
    words = [*(["export"] if words[0] == "focus-export" else []), *words[1:]]
    command: click.Command = main
    context = click.Context(main, info_name="focus")
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"{page}: there is no command {name}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    command.parse_args(context, words)
