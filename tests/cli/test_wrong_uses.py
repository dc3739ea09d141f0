"""Wrong uses are refused in one sentence before any work; unusual names of files are no wrong use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from export_models import write_small_export
from focus_cli.main import main
from invoked import refuse


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a link to itself, a link to nothing and a file."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("absent")
    (tmp_path / "file").touch()
    return tmp_path


@pytest.mark.parametrize("parent", ["loop", "nowhere", "file"])
@pytest.mark.parametrize("option", ["--errors", "--report", "vocab", "auxiliary"])
def test_an_output_that_cannot_be_made_is_refused(
    place: Path, target_text: Path, vocabulary: Path, parent: str, option: str
) -> None:
    before = set(place.rglob("*"))
    output = place / parent / "output.safetensors"
    command = {
        "vocab": ("vocab", "--input", target_text, "--size", 300, "--output", output),
        "auxiliary": ("auxiliary", "--corpus", target_text, "--vocab", vocabulary, "--output", output),
    }.get(option, ("evaluate", "--model", place / "absent", "--table", place / "absent.tsv", option, output))
    done = CliRunner().invoke(main, [*map(str, command)], catch_exceptions=False)
    assert done.exit_code == 1
    assert f"Error: {output}: cannot be created, since {place / parent} is" in done.output
    assert set(place.rglob("*")) == before


def test_one_file_is_not_both_outputs(place: Path) -> None:
    both = str(place / "both")
    words = ("evaluate", "--model", place / "absent", "--table", place / "file", "--errors", both, "--report", both)
    done = CliRunner().invoke(main, [*map(str, words)], catch_exceptions=False)
    assert done.exit_code == 1
    assert f"Error: {both}: is named by --errors and by --report" in done.output


def test_names_can_have_spaces_and_bytes_that_are_not_utf_8(tmp_path: Path, target_text: Path) -> None:
    text, output = os.fsencode(tmp_path) + b"/some caf\xe9.txt", os.fsencode(tmp_path) + b"/d\xe9r"
    Path(os.fsdecode(text)).write_bytes(target_text.read_bytes())
    focus = os.fsencode(Path(sys.executable).parent / "focus")
    words = [focus, b"vocab", b"--input", text, b"--size", b"300", b"--output", output]
    done = subprocess.run(words, capture_output=True, check=True)
    assert output in done.stdout
    inspected = subprocess.run([focus, b"inspect", output], capture_output=True, check=True)
    assert b"vocabulary" in inspected.stdout
    refused = subprocess.run([focus, b"inspect", output + b"x"], capture_output=True, check=False)
    assert refused.returncode == 1
    assert b"Traceback" not in refused.stderr


def test_names_that_pytorch_and_onnx_runtime_cannot_open_are_told(
    tmp_path: Path, release: Path, hugging_face: Path
) -> None:
    """An output, too, before a training whose checkpoints could not be read."""
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9r"))
    (table := tmp_path / "t.tsv").write_text("label\ttext\na\tka\nb\tmi\n")
    for source in (release, hugging_face):
        shutil.copytree(source, place / source.name)
        refuse("focus", "inspect", place / source.name, says="only files whose names are UTF-8")
    write_small_export(tmp_path / "export", "mean", release / "sentencepiece.bpe.model")
    (tmp_path / "export").rename(place / "export")
    predict = ("predict", "--model", place / "export", "--input", table, "--output", tmp_path / "p.jsonl")
    export = ("export", "--onnx", "--model", release, "--output", place / "x")
    finetune = ("finetune", "classification", "--model", release, "--train", table, "--valid", table)
    for command in (predict, export, (*finetune, "--output", place / "m")):
        refuse("focus", *command, says="only files whose names are UTF-8")


@pytest.mark.parametrize("kind", ["--onnx", "--hf"])
def test_a_model_that_is_not_there_is_told_from_one_without_weights(tmp_path: Path, kind: str) -> None:
    words = ("focus", "export", kind, "--output", tmp_path / "out", "--model")
    refuse(*words, tmp_path / "typo", says="typo: no such directory; give a directory made by focus convert")
    (tmp_path / "empty").mkdir()
    refuse(*words, tmp_path / "empty", says="empty: has no model.pt; give a directory made by focus convert")
