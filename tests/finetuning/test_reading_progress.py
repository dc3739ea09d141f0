"""The progress of reading and encoding tables, which is shown where it takes long."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner
from fairseq_models import World, make_world
from focus_cli.main import main

from focus_plugin import progress
from focus_plugin.finetuning.declaration import table_examples
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.text import Text

QUESTION = {"id": "1", "question": "Ba?", "context": "Ba.", "answers": {"text": ["Ba"], "answer_start": [0]}}
SQUAD = {
    "data": [
        {
            "paragraphs": [
                {
                    "context": "Ba.",
                    "qas": [
                        {"id": str(number), "question": "Ba?", "answers": [{"text": "Ba", "answer_start": 0}]}
                        for number in range(7)
                    ],
                }
            ]
        }
    ]
}
TABLES = {
    ("classification", "t.tsv"): "label\ttext\n" + "a\tBa gu.\n" * 9,
    ("classification", "t.csv"): "label,text\n" + 'a,"Ba\ngu."\n' * 9,
    ("pairs", "t.tsv"): "label\tfirst\tsecond\n" + "a\tBa.\tGu.\n" * 9,
    ("embedding", "t.tsv"): "first\tsecond\n" + "Ba.\tGu.\n" * 9,
    ("embedding", "t.txt"): "Ba gu.\n" * 9,
    ("tagging", "t.conll"): "Ba B-PER\ngu O\n\n" * 9,
    ("questions", "t.jsonl"): json.dumps(QUESTION) + "\n",
    ("questions", "t.json"): json.dumps(SQUAD),
}


@pytest.mark.parametrize(("task", "name"), TABLES)
def test_progress_reaches_the_size_of_the_table_with_its_last_example(
    task: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not before, where the whole file is read before the first example."""
    monkeypatch.setattr(progress, "_SHORT", -1)
    (tmp_path / name).write_text(TABLES[task, name], encoding="utf-8")
    table, told = Text.of(tmp_path / name), []

    @contextmanager
    def phase(label: str, total: int) -> Iterator[progress.Progress]:
        assert (label, total) == (f"Encoding {name}", table.bytes)
        yield told.append

    declared = find_task(task)
    after = [sum(told) for _ in table_examples(declared, table, declared.columns(), phase, "Encoding")]
    assert after == sorted(after)
    assert after[-1] == sum(told) == table.bytes
    if task == "tagging" or name == "t.json":
        assert len(set(after)) == len(after) > 5


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("progress"))
    lines = world.train.read_text(encoding="utf-8").splitlines()[:20]
    rows = "".join(f"{'ab'[number % 2]}\t{line}\n" for number, line in enumerate(lines))
    (world.root / "t.tsv").write_text(f"label\ttext\n{rows}", encoding="utf-8")
    return world


@pytest.mark.parametrize(("seconds", "quiet", "shown"), [(-1, False, True), (-1, True, False), (1000, False, False)])
def test_only_what_is_slow_is_shown_and_nothing_if_quiet(
    seconds: int, quiet: bool, shown: bool, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SHORT", seconds)
    table = world.root / "t.tsv"
    words = ["finetune", "classification", "--model", world.source, "--train", table, "--valid", table, "--truncate"]
    words += ["--cpu", "--dry-run", "--output", tmp_path / "out", *(["--quiet"] if quiet else [])]
    done = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0
    assert ("Reading t.tsv ...\n" in done.stderr) == shown
    assert bool(done.stderr) != quiet


def test_progress_of_two_aligned_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SHORT", -1)
    sides = tmp_path / "t.en", tmp_path / "t.sw"
    for side in sides:
        side.write_text("Ba gu.\n" * 9, encoding="utf-8")
    table, told = Text.of(*sides), []
    columns = find_task("embedding").columns(line_aligned=True)
    assert len(list(table_examples(find_task("embedding"), table, columns, lambda *_: nullcontext(told.append)))) == 9
    assert sum(told) == table.bytes
