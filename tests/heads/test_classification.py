"""Classification: its data as fairseq reads it, sentences for tables that are wrong, and the whole way of a task."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from commands import run
from fairseq.data import data_utils
from fairseq.data.dictionary import Dictionary
from fairseq.models.roberta import XLMRModel
from fairseq_models import CONFIG, World, make_world
from sklearn.metrics import accuracy_score, f1_score

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.files import silent
from focus_plugin.finetuning.declaration import Preparation, Prepared
from focus_plugin.finetuning.options import FinetuningOptions
from focus_plugin.finetuning.tokenizer import release_tokenizer
from focus_plugin.heads.classification import Columns, examples, prepare
from focus_plugin.jobs.finetune import FinetuningJob, finetune
from focus_plugin.jobs.inspect import describe_directory
from focus_plugin.manifest import Manifest
from focus_plugin.training.watcher import Watcher


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def _table(path: Path, *lines: str) -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def _prepare(
    world: World, tmp_path: Path, train: Path, valid: Path, *, truncate: bool = False
) -> tuple[Path, Prepared]:
    output = tmp_path / "data"
    output.mkdir()
    columns, encoder = Columns(label_column="topic"), Encoder.load(world.source)
    given = Preparation(
        directory=output,
        model=world.source,
        encoder=encoder,
        tokenizer=release_tokenizer(world.source, encoder, CONFIG.max_positions),
        max_positions=CONFIG.max_positions,
        tables={"train": train, "valid": valid},
        examples=lambda path: examples(path, columns, silent),
        options=FinetuningOptions(model=world.source, train=train, valid=valid, truncate=truncate),
    )
    return output, prepare(given)


def test_classification_data_as_fairseq_reads_it(world: World, tmp_path: Path) -> None:
    train = _table(tmp_path / "t.tsv", "text\tid\ttopic", 'Ba "be\t1\tsport news', "bi bo\t2\tarts", "bu\t3\tarts")
    valid = _table(tmp_path / "v.tsv", "topic\ttext", "sport news\tba ba")
    data, prepared = _prepare(world, tmp_path, train, valid)
    assert prepared.head.labels == ("arts", "sport news")
    assert (prepared.samples, prepared.counts["truncated"]) == (3, 0)
    dictionary = Dictionary.load(str(data / "label" / "dict.txt"))
    labels = data_utils.load_indexed_dataset(str(data / "label" / "train"), dictionary)
    classes = [int(labels[i][0]) - dictionary.nspecial for i in range(3)]
    assert [prepared.head.labels[i] for i in classes] == ["sport news", "arts", "arts"]
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
    data, prepared = _prepare(world, tmp_path / "cut", train, train, truncate=True)
    texts = data_utils.load_indexed_dataset(str(data / "input0" / "train"), None)
    assert prepared.counts["truncated"] == 2
    assert np.array_equal(texts.sizes[1:], [CONFIG.max_positions - 1])


def test_labels_may_be_called_like_special_tokens(world: World, tmp_path: Path) -> None:
    names = ("</s>", "<pad>", "<s>", "<unk>", "a #fairseq:overwrite")
    train = _table(tmp_path / "t.tsv", "topic\ttext", *(f"{name}\tba" for name in names))
    data, prepared = _prepare(world, tmp_path, train, train)
    assert prepared.head.labels == names
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
        ((*GOOD, "a\t "), GOOD, r"t\.tsv, line 4: the text is empty"),
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


def _finetuned(world: World, train: Path, valid: Path, output: Path, **options: object) -> Manifest:
    given = {"model": world.source, "train": train, "valid": valid, "truncate": True, "cpu": True, **options}
    job = FinetuningJob(task="classification", options=FinetuningOptions(**given), columns=Columns())
    return finetune(job, output, Watcher())


def test_a_classifier_learns_and_is_what_was_evaluated(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first letter tells the label, 51 % have the commoner one. The scores are those of stock fairseq."""
    lines = world.train.read_text(encoding="utf-8").splitlines()
    rows = [f"{'high' if line[0] < 'M' else 'low'}\t{line}" for line in lines]
    train, valid = (_table(tmp_path / "t.tsv", "label\ttext", *rows[:500]), tmp_path / "v.tsv")
    _table(valid, "label\ttext", *rows[500:])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # which cpu=True is to keep from being used
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    output = tmp_path / "out"
    counts = _finetuned(world, train, valid, output, epochs=4, batch_size=16, learning_rate=3e-3).counts
    monkeypatch.undo()
    assert counts["valid_accuracy"] > 0.9
    accuracy, macro_f1 = _scores(output, rows[500:])
    assert (counts["valid_accuracy"], counts["valid_macro_f1"]) == (pytest.approx(accuracy), pytest.approx(macro_f1))
    assert (counts["labels"], counts["valid_samples"]) == (["high", "low"], 100)


def _scores(model: Path, rows: Sequence[str]) -> tuple[float, float]:
    """Accuracy and macro-F1 of stock fairseq's predictions."""
    fairseq = XLMRModel.from_pretrained(str(model)).eval()
    labels = json.loads((model / "head.json").read_text())["settings"]["labels"]
    expected, texts = zip(*(row.split("\t") for row in rows), strict=True)
    with torch.inference_mode():
        predicted = [
            labels[int(fairseq.predict("classification", fairseq.encode(text)[: CONFIG.max_positions]).argmax())]
            for text in texts
        ]
    return accuracy_score(expected, predicted), f1_score(expected, predicted, average="macro")


def test_a_test_table_is_evaluated_and_compared_with_training(world: World, tmp_path: Path) -> None:
    """Without a learning rate the classifier stays as it was drawn, and is right about half of the time."""
    lines = world.train.read_text(encoding="utf-8").splitlines()
    rows = [f"{'high' if line[0] < 'M' else 'low'}\t{line}" for line in lines]
    tables = {"train": rows[:40], "valid": rows[40:80], "test": [*rows[80:], rows[3]]}
    for name, part in tables.items():
        _table(tmp_path / f"{name}.tsv", "label\ttext", *part)
    output = tmp_path / "out"
    given = [word for name in tables for word in (f"--{name}", tmp_path / f"{name}.tsv")]
    base = ("focus", "finetune", "classification", "--model", world.source, "--output", output, "--cpu", "--truncate")
    done = run(*base, *given, "--epochs", 1, "--lr", 0)
    counts = json.loads((output / "focus.json").read_text())["counts"]
    accuracy, macro_f1 = _scores(output, tables["test"])
    assert (counts["test_accuracy"], counts["test_macro_f1"]) == (pytest.approx(accuracy), pytest.approx(macro_f1))
    assert counts["valid_accuracy"] == pytest.approx(_scores(output, tables["valid"])[0])
    assert counts["valid_accuracy"] < 0.7
    assert f"{output}: accuracy {accuracy:.3f}, macro-f1 {macro_f1:.3f} on 521 test samples.\n" in done.stdout
    assert "valid: " not in done.stdout
    assert "Warning: test: 1 of 521 texts" in done.stdout
    assert "line 522 equals line 5 of train" in describe_directory(output)[-1]
    with open(tmp_path / "test.tsv", "a") as file:
        file.write("middle\tba\n")
    paths = [tmp_path / f"{name}.tsv" for name in tables]
    with pytest.raises(FocusError, match=r"test\.tsv, line 523: the label 'middle' is not in"):
        _finetuned(world, *paths[:2], tmp_path / "other", test=paths[2])
    assert not list(tmp_path.glob("other*"))


def test_finetuning_starts_with_a_new_head(world: World, tmp_path: Path) -> None:
    """Also from a classifier of as many labels; without a learning rate the head stays as it was drawn."""
    table = _table(tmp_path / "t.tsv", "label\ttext", "high\tBa be bi.", "low\tGo gu.")
    heads = []
    for seed, model in ((1, world.source), (2, tmp_path / "1")):
        output = tmp_path / str(seed)
        options = {"model": model, "seed": seed, "epochs": 1, "batch_size": 2, "learning_rate": 0.0}
        _finetuned(world, table, table, output, **options)
        heads.append(torch.load(output / "model.pt")["model"]["classification_heads.classification.dense.weight"])
    assert not torch.equal(*heads)
