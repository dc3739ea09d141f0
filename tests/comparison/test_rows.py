"""The file of finished runs: it grows, survives a kill, and refuses what does not belong to it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from comparison_rows import make_row

from focus_plugin.comparison.rows import open_rows
from focus_plugin.errors import FocusError


def test_rows_of_several_openings_add_up(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    first, second = make_row(seed=1), make_row(start="random", loss=5.5)
    for row in (first, second):
        with open_rows(path) as rows:
            rows.add(row)
    with open_rows(path) as rows:
        assert rows.rows == [first, second]


def test_half_a_line_of_a_killed_command_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    first, second = make_row(seed=1), make_row(seed=2)
    with open_rows(path) as rows:
        rows.add(first)
    whole = path.read_bytes()
    for length in (1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole + whole[:length])
        with open_rows(path) as rows:
            assert rows.rows == [first]
            assert path.read_bytes() == whole + whole[:length]  # looking changes nothing
            rows.add(second)
        with open_rows(path) as rows:
            assert rows.rows == [first, second]


def test_two_commands_do_not_write_at_once(tmp_path: Path) -> None:
    with open_rows(tmp_path / "rows.jsonl") as rows:
        with (
            pytest.raises(FocusError, match="a comparison is still running here"),
            open_rows(tmp_path / "rows.jsonl"),
        ):
            pass
        rows.add(make_row())


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[]",
        "[" * 100_000,
        '{"start": "focus"}',
        *(
            json.dumps({**asdict(make_row()), **change})
            for change in (
                {"more": 1},
                {"loss": "low"},
                {"loss": float("nan")},
                {"sums": [1.0]},
                {"sums": None},
                {"predictions": [10, "ten"]},
                {"predictions": [0, 0]},
                {"curve": {}},
                {"curve": {"half": 1.0}},
                {"made_of": {}},
                {"words": []},
            )
        ),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(asdict(make_row()))}\n{line}\n")
    with pytest.raises(FocusError, match=r"rows.jsonl, line 2: is not a run of a comparison"), open_rows(path):
        pass


def test_one_name_is_one_start_and_one_recipe(tmp_path: Path) -> None:
    row = replace(make_row(), made_of={"start": {"seed": 1}, "recipe": {"extra": ["--fp16"], "rate": 0.1}})
    with open_rows(tmp_path / "rows.jsonl") as rows:
        rows.add(row)
        rows.require_same("start", "focus", {"seed": 1})
        rows.require_same("recipe", "adapt", {"rate": 0.1, "extra": ("--fp16",)})
        rows.require_same("recipe", "another", {})
        for part, name in (("start", "focus"), ("recipe", "adapt")):
            with pytest.raises(FocusError, match=f"line 1: is a run of another {part} with the name {name}"):
                rows.require_same(part, name, {"seed": 2})
