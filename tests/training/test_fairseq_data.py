"""Prepared data: the bytes that fairseq's own preprocessing makes, and sentences for tables that are wrong."""

import filecmp
from pathlib import Path

import pytest
import sentencepiece
from fairseq_models import World, run, script
from invoked import refuse

from focus_plugin.errors import FocusError
from focus_plugin.masked_lm.data import prepare_masked_lm
from focus_plugin.text import Text


def _encode_with_spm(world: World, text: Path, output: Path) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(world.source / "sentencepiece.bpe.model"))
    lines = text.read_text(encoding="utf-8").splitlines()
    output.write_text(
        "".join(" ".join(processor.encode(line, out_type=str)) + "\n" for line in lines), encoding="utf-8"
    )


def test_masked_lm_data_is_what_fairseq_preprocess_makes(world: World, tmp_path: Path) -> None:
    train = tmp_path / "train.txt"
    train.write_text(f"\n{world.train.read_text(encoding='utf-8')}\n  \nǃ unknown ǂ\r\n", encoding="utf-8")
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    found = prepare_masked_lm(world.source, {"train": Text.of(train), "valid": Text.of(world.valid)}, mine)
    for text, name in ((train, "train"), (world.valid, "valid")):
        _encode_with_spm(world, text, tmp_path / f"{name}.spm")
    preprocess = run(
        *(script("fairseq-preprocess"), "--only-source", "--srcdict", world.source / "dict.txt"),
        *("--trainpref", tmp_path / "train.spm", "--validpref", tmp_path / "valid.spm", "--destdir", theirs),
    )
    assert preprocess.returncode == 0, preprocess.stdout
    names = ["dict.txt", "train.bin", "train.idx", "valid.bin", "valid.idx"]
    assert filecmp.cmpfiles(mine, theirs, names, shallow=False) == (names, [], [])
    assert (found["train"].lines, found["valid"].lines) == (601, 60)
    assert found["train"].unknown >= 2


def test_empty_text(world: World, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    with pytest.raises(FocusError, match=r"empty\.txt: the text is empty"):
        prepare_masked_lm(world.source, {"valid": Text.of(empty)}, tmp_path)
    empty.write_text("")
    command = ("focus", "prepare", "--vocab", world.source, "--output", tmp_path / "data")
    for train, valid in ((empty, world.valid), (world.train, empty)):
        refuse(*command, "--train", train, "--valid", valid, says="empty.txt: the text is empty")
