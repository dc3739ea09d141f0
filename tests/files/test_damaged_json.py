"""Our own JSON files, damaged: an error names the file, also if it is nested too deeply for Python."""

from collections.abc import Callable
from pathlib import Path

import pytest

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.head_file import read_head_file
from focus_plugin.manifest import read_manifest


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "9" * 5000, '{"a": ' * 100_000, "[]", "null"])
@pytest.mark.parametrize(
    ("name", "read"), [("head.json", read_head_file), ("focus.json", lambda path: read_manifest(path.parent))]
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, read: Callable[[Path], object], content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(FocusError, match=rf"{name}: (not valid JSON|is not a )"):
        read(tmp_path / name)
