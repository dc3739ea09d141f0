"""Prepared data: the bytes that fairseq's own preprocessing makes, and sentences for tables that are wrong."""

import filecmp
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from fairseq.data import data_utils
from fairseq.data.dictionary import Dictionary
from fairseq_models import CONFIG, World, make_world, run, script

from focus_plugin.data import prepare_classification, read_labels
from focus_plugin.errors import FocusError
from focus_plugin.masked_lm.data import prepare_masked_lm
from focus_plugin.text import Text


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


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


def _table(path: Path, *lines: str) -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def _prepare(world: World, tmp_path: Path, train: Path, valid: Path, *, truncate: bool = False) -> Path:
    output = tmp_path / "data"
    output.mkdir()
    prepare_classification(
        world.source, train, valid, output, max_positions=CONFIG.max_positions, label_column="topic", truncate=truncate
    )
    return output


def test_classification_data_as_fairseq_reads_it(world: World, tmp_path: Path) -> None:
    train = _table(tmp_path / "t.tsv", "text\tid\ttopic", 'Ba "be\t1\tsport news', "bi bo\t2\tarts", "bu\t3\tarts")
    valid = _table(tmp_path / "v.tsv", "topic\ttext", "sport news\tba ba")
    data = _prepare(world, tmp_path, train, valid)
    assert read_labels(data) == ("arts", "sport news")
    dictionary = Dictionary.load(str(data / "label" / "dict.txt"))
    labels = data_utils.load_indexed_dataset(str(data / "label" / "train"), dictionary)
    classes = [int(labels[i][0]) - dictionary.nspecial for i in range(3)]
    assert [read_labels(data)[i] for i in classes] == ["sport news", "arts", "arts"]
    assert [dictionary.count[dictionary.nspecial + i] for i in (0, 1)] == [2, 1]
    processor = sentencepiece.SentencePieceProcessor(model_file=str(world.source / "sentencepiece.bpe.model"))
    pieces = processor.encode('Ba "be', out_type=str)
    words = Dictionary.load(str(data / "input0" / "dict.txt"))
    texts = data_utils.load_indexed_dataset(str(data / "input0" / "train"), words)
    assert texts[0].tolist() == [*(words.index(piece) for piece in pieces), words.eos()]


def test_long_texts_are_refused_or_cut(world: World, tmp_path: Path) -> None:
    train = _table(tmp_path / "t.tsv", "topic\ttext", "a\tba", "b\t" + "ba be bi " * 50)
    with pytest.raises(FocusError, match=r"t\.tsv, line 3: the text has \d+ tokens.* the model reads 62"):
        _prepare(world, tmp_path, train, train)
    (tmp_path / "cut").mkdir()
    data = _prepare(world, tmp_path / "cut", train, train, truncate=True)
    texts = data_utils.load_indexed_dataset(str(data / "input0" / "train"), None)
    assert np.array_equal(texts.sizes[1:], [CONFIG.max_positions - 1])


def test_labels_may_be_called_like_special_tokens(world: World, tmp_path: Path) -> None:
    names = ("</s>", "<pad>", "<s>", "<unk>", "a #fairseq:overwrite")
    train = _table(tmp_path / "t.tsv", "topic\ttext", *(f"{name}\tba" for name in names))
    data = _prepare(world, tmp_path, train, train)
    assert read_labels(data) == names
    dictionary = Dictionary.load(str(data / "label" / "dict.txt"))
    labels = data_utils.load_indexed_dataset(str(data / "label" / "train"), dictionary)
    assert [int(labels[i][0]) - dictionary.nspecial for i in range(len(names))] == list(range(len(names)))
    assert len(dictionary) == dictionary.nspecial + len(names)


GOOD = ("topic\ttext", "a\tba", "b\tbe")


@pytest.mark.parametrize(
    ("train", "valid", "message"),
    [
        (("ba\tbe", "a\tba"), GOOD, r"t\.tsv, line 1: the header has no column 'topic'"),
        ((), GOOD, r"t\.tsv, line 1: the header has no column"),
        (("topic\ttext",), GOOD, r"t\.tsv: the table has a header but no rows"),
        ((*GOOD, "a\tba\tbe"), GOOD, r"t\.tsv, line 4: 3 columns, but the header has 2"),
        ((*GOOD, "\tba"), GOOD, r"t\.tsv, line 4: the column 'topic' is empty"),
        ((*GOOD, "a\t "), GOOD, r"t\.tsv, line 4: the column 'text' is empty"),
        ((*GOOD, "a\rb\tba"), GOOD, r"t\.tsv, line 4: the label 'a\\rb' has a line break"),
        (("topic\ttext", "a\tba"), GOOD, r"t\.tsv: every row has the label 'a'"),
        (GOOD, (*GOOD, "c\tba"), r"v\.tsv, line 4: the label 'c' is not in .*t\.tsv, which has 'a', 'b'"),
    ],
)
def test_wrong_tables(
    world: World, tmp_path: Path, train: tuple[str, ...], valid: tuple[str, ...], message: str
) -> None:
    with pytest.raises(FocusError, match=message):
        _prepare(world, tmp_path, _table(tmp_path / "t.tsv", *train), _table(tmp_path / "v.tsv", *valid))
