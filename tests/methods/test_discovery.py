"""Methods are found in the folder, among installed packages and in files; what is wrong with one is told."""

import re
from pathlib import Path

import pytest
from commands import refuse as refuse_program
from commands import run as run_program
from commands import run_python
from invoked import refuse, run

import focus_plugin.methods
from focus_plugin.errors import FocusError
from focus_plugin.mixing.discovery import METHODS, find_method
from focus_plugin.options import Option
from focus_plugin.transfer.options import initialization, method_options

FOLDER = Path(focus_plugin.methods.__path__[0])
HEAVY = {"torch", "fairseq", "numpy", "scipy", "sentencepiece", "tokenizers", "safetensors", "fasttext"}
MINE = """
from focus_plugin.mixing.declaration import Method
from focus_plugin.mixing.matching import MatchingOptions, overlapping

def make(given):
    from focus_plugin.mixing.mixing import Mixing
    return Mixing(overlapping(given))

METHOD = Method(name={name!r}, summary="As random.", make=make, options=MatchingOptions)
"""


def install(directory: Path, package: str, method: str, code: str) -> None:
    """A package with one method as an entry point, as pip would lay it out in ``directory``."""
    information = directory / f"{package}-1.0.dist-info"
    information.mkdir(parents=True)
    (directory / f"{package}.py").write_text(code)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[focus_fairseq.methods]\n{method} = {package}:METHOD\n")


def test_importing_the_shipped_methods_imports_nothing_heavy():
    loaded = run_python(
        "import sys; from focus_plugin.mixing.discovery import METHODS\n"
        f"print(len(METHODS.shipped()), *sorted({HEAVY!r} & set(sys.modules)))"
    )
    assert loaded.split() == [str(len(list(FOLDER.glob("[!_]*.py"))))]


def test_help_imports_nothing_heavy_and_shows_every_methods_options():
    said = run_python(
        "import sys; from focus_cli.main import main\n"
        "main(['convert', '--help'], prog_name='focus', standalone_mode=False)\n"
        f"print('loaded', *sorted({HEAVY!r} & set(sys.modules)))"
    )
    assert said.splitlines()[-1] == "loaded"
    for method in METHODS.shipped():
        assert re.search(rf"^  {method.name} ", said, re.MULTILINE)
        assert all(f"--{entry.flag}" in said for entry in method_options(method))


def test_an_option_that_two_methods_share_means_the_same_in_both():
    seen: dict[str, Option] = {}
    for method in METHODS.shipped():
        for entry in method_options(method):
            for name in (f"name {entry.name}", f"flag {entry.flag}"):
                assert seen.setdefault(name, entry) == entry, f"{method.name}: --{entry.flag}"
    assert len(seen) > 6


def test_what_a_method_declares_as_published_are_options():
    for method in METHODS.shipped():
        if method.published:
            files = {file.name: Path("x") for file in method.files if file.required}
            how = initialization(find_method(method.name), {"auxiliary": Path("x"), **files}, paper=True)
            values = {**vars(how.of_method), **vars(how.options), **vars(how.vectors)}
            assert {name: values[name] for name in method.published} == method.published


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1", "mine.py: declares no method; it must define METHOD"),
        ("METHOD = 3", "mine.py: declares no method"),
        ("x = 1\ndef (", r"mine.py, line 2: cannot be imported \(SyntaxError"),
        ("x = 1\n\nimport nowhere", r"mine.py, line 3: cannot be imported \(ModuleNotFoundError: .*nowhere"),
        ("def f():\n    return 1 / 0\n\nf()", r"mine.py, line 2: cannot be imported \(ZeroDivisionError"),
        (MINE.format(name="random"), "mine.py: its METHOD is called 'random', as an installed method is"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path, code, says):
    (tmp_path / "mine.py").write_text(code)
    with pytest.raises(FocusError, match=says):
        find_method(str(tmp_path / "mine.py"))


def test_names_that_are_no_method_are_told():
    with pytest.raises(FocusError, match=r"no method 'focsu'; give one of clp, .*focus, .*random"):
        find_method("focsu")
    with pytest.raises(FocusError, match=r"absent.py: no such file"):
        find_method("absent.py")


@pytest.mark.parametrize(
    ("declaration", "says"),
    [
        ("seed: int = option(1, help='')", "declares an option --seed, which already exists"),
        ("output: str = option('', help='')", "declares an option --output, which already exists"),
        ("a: int = option(1, help='', flag='min-count')", "declares an option --min-count, which already exists"),
        ("table: Path | None = option(None, help='')", "must declare --table as one of its files"),
    ],
)
def test_options_that_would_hide_others_are_refused(tmp_path, declaration, says):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom pathlib import Path\n"
        "from focus_plugin.mixing.declaration import Method\nfrom focus_plugin.options import option\n"
        f"@dataclass(frozen=True, kw_only=True)\nclass Mine:\n    {declaration}\n"
        "METHOD = Method(name='mine', summary='', make=print, options=Mine)\n"
    )
    with pytest.raises(FocusError, match=says):
        method_options(find_method(str(tmp_path / "mine.py")).declaration)


def test_an_installed_method_is_found_by_its_entry_point(tmp_path, monkeypatch, release, vocabulary):
    install(tmp_path / "site", "focus_theirs", "theirs", MINE.format(name="theirs"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    assert "Also installed: theirs" in run_program("focus", "convert", "--help").stdout
    assert "--match-fuzzy" in run_program("focus", "convert", "--method", "theirs", "--help").stdout
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary)
    run_program(*base, "--method", "theirs", "--output", tmp_path / "theirs")
    run_program(*base, "--method", "random", "--output", tmp_path / "random")
    assert (tmp_path / "theirs" / "model.pt").read_bytes() == (tmp_path / "random" / "model.pt").read_bytes()
    assert '"focus_theirs": "1.0"' in (tmp_path / "theirs" / "focus.json").read_text()


def test_a_name_that_two_packages_have_is_refused(tmp_path, monkeypatch):
    install(tmp_path, "focus_one", "both", MINE.format(name="both"))
    install(tmp_path, "focus_two", "both", MINE.format(name="both"))
    install(tmp_path, "focus_three", "random", MINE.format(name="random"))
    install(tmp_path, "focus_four", "wrong", MINE.format(name="right"))
    install(tmp_path, "focus_five", "broken", "import os\nraise ValueError('never')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    refuse_program("focus", "convert", "--method", "both", says="exists twice, in ")
    refuse_program("focus", "convert", "--method", "random", says="twice, in focus-fairseq and focus_three")
    refuse_program("focus", "convert", "--method", "wrong", says="focus_four: its entry point wrong of")
    says = "focus_five.py, line 2: cannot be imported (ValueError: never)"
    refuse_program("focus", "convert", "--method", "broken", says=says)


def test_a_file_is_part_of_what_the_output_was_made_from(tmp_path, release, vocabulary):
    (tmp_path / "mine.py").write_text(MINE.format(name="mine"))
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", tmp_path / "mine.py")
    run(*base, "--match-fuzzy", "--output", tmp_path / "out")
    manifest = (tmp_path / "out" / "focus.json").read_text()
    assert re.search(r'"method": "[0-9a-f]{64}"', manifest)
    assert '"match_fuzzy": true' in manifest
    run(*base, "--match-fuzzy", "--output", tmp_path / "out")
    refuse(*base, "--output", tmp_path / "out", says="already holds")
    with open(tmp_path / "mine.py", "a") as file:
        file.write("# changed\n")
    refuse(*base, "--match-fuzzy", "--output", tmp_path / "out", says="already holds")


READING = """
from focus_plugin.mixing.declaration import Method, MethodFile

def pairs(path):
    return dict(line.split() for line in path.read_text().splitlines())

def make(given):
    import numpy as np
    from focus_plugin.mixing.mixing import Mixing

    assert given.files["extra"] is None
    copied = np.full(len(given.target), -1)
    for new, old in given.files["dictionary"].items():
        copied[given.target.ids[new]] = given.source.ids[old]
    return Mixing(copied)

METHOD = Method(
    name="reading",
    summary="Copies what a dictionary says.",
    make=make,
    files=(
        MethodFile(name="dictionary", help="Pairs of tokens.", read=pairs),
        MethodFile(name="extra", help="Not needed.", read=pairs, required=False),
    ),
)
"""


def test_a_methods_files_are_read_for_it_and_are_part_of_what_the_output_was_made_from(tmp_path, release, vocabulary):
    (tmp_path / "reading.py").write_text(READING)
    target = [line.split()[0] for line in (vocabulary / "dict.txt").read_text().splitlines()]
    source = [line.split()[0] for line in (release / "dict.txt").read_text().splitlines()]
    pairs = dict(zip(target[10:20], source[30:40], strict=True))
    (tmp_path / "pairs.txt").write_text("".join(f"{new} {old}\n" for new, old in pairs.items()))
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", tmp_path / "reading.py")
    done = run(*base, "--output", tmp_path / "out", check=False)
    assert done.returncode == 2
    assert "Missing option '--dictionary'" in done.stderr
    refuse(*base, "--dictionary", tmp_path / "absent", "--output", tmp_path / "out", says="absent: no such file")
    run(*base, "--dictionary", tmp_path / "pairs.txt", "--output", tmp_path / "out")
    assert re.search(r'"method/dictionary": "[0-9a-f]{64}"', (tmp_path / "out" / "focus.json").read_text())
    said = run("focus", "explain", tmp_path / "out", *pairs).stdout
    assert said == "".join(f"{new}: copied from {old}.\n" for new, old in pairs.items())


def test_an_option_of_another_method_is_a_usage_error():
    done = run("focus", "convert", "--method", "random", "--alpha", 1, check=False)
    assert done.returncode == 2
    assert "--alpha is an option of the method focus, not of random." in done.stderr
    done = run("focus", "convert", "--method", "random", "--special-anchors", check=False)
    assert re.search(r"--special-anchors is an option of the methods clp, .* and wechsel, not of random\.", done.stderr)
    done = run("focus", "convert", "--nonsense", check=False)
    assert done.returncode == 2
    assert "No such option" in done.stderr
