"""What an installation brings: every module and data file, and no module with a name that others may use."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"focus_plugin": "focus_plugin", "focus_cli": "cli", "focus_export": "export"}
DATA = {".py", ".typed", ".html", ".css", ".js"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a wheel of a copy of the tree."""
    copy = tmp_path_factory.mktemp("tree")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("sample/", "tests/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(copy / "wheels"))
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "."], cwd=copy, check=True)
    with zipfile.ZipFile(next((copy / "wheels").glob("*.whl"))) as archive:
        return archive.namelist()


def test_every_module_and_data_file_is_installed(wheel):
    wanted = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in DATA
    }
    assert len(wanted) > 100
    assert wanted <= set(wheel)


def test_nothing_else_is_installed(wheel):
    tops = {name.partition("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(FOLDERS)


def test_the_licence_and_the_description_are_part_of_it(wheel):
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
