"""Classification: training samples, tables that are wrong, losses, thresholds, and one or several labels to the end."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from fairseq.data.dictionary import Dictionary
from fairseq.models.roberta import XLMRModel
from fairseq_models import CONFIG, World
from focus_export.heads.classification import ClassificationHead
from focus_export.sequence_head import Classifications
from hypothesis import given
from hypothesis import strategies as st
from invoked import run
from prepared_tables import prepared_tables, write_table
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Outputs
from focus_plugin.finetuning.labels import LabelOptions
from focus_plugin.finetuning.samples import TrainingSamples
from focus_plugin.finetuning.sequence import label_loss, several_label_loss
from focus_plugin.finetuning.thresholds import best_threshold
from focus_plugin.finetuning.tokenizer import release_tokenizer
from focus_plugin.heads.classification import HEAD, ClassificationColumns, ClassificationOptions, metrics, parsed
from focus_plugin.jobs.finetune import FinetuningJob, finetune
from focus_plugin.jobs.inspect import describe_directory
from focus_plugin.manifest import Manifest
from focus_plugin.training.watcher import Watcher

TOPICS = ClassificationColumns(label_column="topic")
ROOT = Path()


def _samples(data: Path) -> tuple[list[list[int]], list[list[float]]]:
    """The token ids of the training samples, and the numbers that are expected of them."""
    samples = TrainingSamples(data, "train", 1, seed=1)
    rows = [samples[i] for i in range(len(samples))]
    return [row["rows"][0].tolist() for row in rows], [row["expected"].tolist() for row in rows]


def test_training_samples_are_texts_and_classes(world: World, tmp_path: Path) -> None:
    train = write_table(
        tmp_path / "t.tsv", "text\tid\ttopic", 'Ba "be\t1\tsport news', "bi bo\t2\t arts", "bu\t3\tarts "
    )
    valid = write_table(tmp_path / "v.tsv", "topic\ttext", "sport news\tba ba")
    data, prepared = prepared_tables(HEAD, world, tmp_path, (train, valid), TOPICS)
    assert prepared.head == ClassificationHead(("arts", "sport news"))
    assert (prepared.samples, prepared.counts["truncated"]) == (3, 0)
    rows, classes = _samples(data)
    assert classes == [[1], [0], [0]]
    processor = sentencepiece.SentencePieceProcessor(model_file=str(world.source / "sentencepiece.bpe.model"))
    words = Dictionary.load(str(world.source / "dict.txt"))
    pieces = processor.encode('Ba "be', out_type=str)
    assert rows[0] == [words.bos(), *(words.index(piece) for piece in pieces), words.eos()]


def test_several_columns_are_joined_by_a_space(world: World, tmp_path: Path) -> None:
    """In a table, in a call with several texts, and on a line with tabs."""
    train = write_table(tmp_path / "t.tsv", "head\ttopic\ttext", "Ba be\ta\tbi bo", "bu\tb\t")
    data, prepared = prepared_tables(
        HEAD, world, tmp_path, (train, train), ClassificationColumns(label_column="topic", text_column="head,text")
    )
    tokenizer = release_tokenizer(world.source, Encoder.load(world.source), CONFIG.max_positions)
    rows, _ = _samples(data)
    for row, texts in zip(rows, (("Ba be", "bi bo"), ("bu", "")), strict=True):
        for sample in (" ".join(texts), texts, prepared.head.sample("\t".join(texts))):
            assert prepared.head.encode(tokenizer, sample, False).rows[0].tolist() == row
    with pytest.raises(FocusError, match="is a tuple, not text"):
        prepared.head.encode(tokenizer, ("ba", 1), False)


def test_several_labels_are_ones_and_zeros(world: World, tmp_path: Path) -> None:
    train = write_table(tmp_path / "t.tsv", "topic\ttext", "b; a\tba", "\tbe", " c\tbi", "a\tbo")
    data, prepared = prepared_tables(
        HEAD, world, tmp_path, (train, train), TOPICS, multi_label=True, label_separator=";"
    )
    assert prepared.head == ClassificationHead(("a", "b", "c"), ";", (0.5, 0.5, 0.5))
    assert _samples(data)[1] == [[1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert parsed(prepared.head, "b; a") == ("b", "a")
    assert parsed(prepared.head, "") == ()


def test_rare_labels_are_read_several_times(world: World, tmp_path: Path) -> None:
    """In training only."""
    rows = ("a\tba", "b\tbe", "a\tbi", "a\tbo", "c\tbu", "c\tba", "a\tbe", "a\tba")
    table = write_table(tmp_path / "t.tsv", "topic\ttext", *rows)
    data, prepared = prepared_tables(HEAD, world, tmp_path, (table, table), TOPICS, class_sampling="balanced")
    assert prepared.samples == 5 * 1 + 1 * 5 + 2 * 2  # 5 / 2 is rounded to the even 2
    classes = [expected for [expected] in _samples(data)[1]]
    assert [classes.count(label) for label in range(3)] == [5, 5, 4]
    assert len(TrainingSamples(data, "valid", 1, seed=1)) == 8
    other = tmp_path / "other"
    other.mkdir()
    for options, message in (
        ({"class_weights": "balanced"}, "not both"),
        ({"multi_label": True}, "for texts with one"),
    ):
        with pytest.raises(FocusError, match=message):
            prepared_tables(HEAD, world, other, (table, table), TOPICS, class_sampling="balanced", **options)
        (other / "data").rmdir()


def test_long_texts_are_refused_or_cut(world: World, tmp_path: Path) -> None:
    train = write_table(tmp_path / "t.tsv", "topic\ttext", "a\tba", "b\t" + "ba be bi " * 50)
    with pytest.raises(FocusError, match=r"t\.tsv, line 3: \d+ tokens, but the model takes at most 62"):
        prepared_tables(HEAD, world, tmp_path, (train, train), TOPICS)
    (tmp_path / "cut").mkdir()
    data, prepared = prepared_tables(HEAD, world, tmp_path / "cut", (train, train), TOPICS, truncate=True)
    assert prepared.counts["truncated"] == 2
    assert [len(row) for row in _samples(data)[0]][1:] == [CONFIG.max_positions]


def test_labels_may_be_called_like_special_tokens(world: World, tmp_path: Path) -> None:
    names = ("</s>", "<pad>", "<s>", "<unk>", "a #fairseq:overwrite")
    train = write_table(tmp_path / "t.tsv", "topic\ttext", *(f"{name}\tba" for name in names))
    data, prepared = prepared_tables(HEAD, world, tmp_path, (train, train), TOPICS)
    assert prepared.head.labels == names
    assert _samples(data)[1] == [[0], [1], [2], [3], [4]]


GOOD = ("topic\ttext", "a\tba", "b\tbe")
SEVERAL = {"multi_label": True}


@pytest.mark.parametrize(
    ("train", "valid", "options", "message"),
    [
        (("ba\tbe", "a\tba"), GOOD, {}, r"t\.tsv, line 1: the header has no column 'topic'"),
        ((), GOOD, {}, r"t\.tsv, line 1: is empty; a table begins with a header"),
        (("topic\ttext",), GOOD, {}, r"t\.tsv: the table has a header but no rows"),
        ((*GOOD, "a\tba\tbe"), GOOD, {}, r"t\.tsv, line 4: 3 columns, but the header has 2"),
        ((*GOOD, "\tba"), GOOD, {}, r"t\.tsv, line 4: the label is empty"),
        (("topic\ttext\ttext", "a\tba\tbe"), GOOD, {}, r"t\.tsv, line 1: the header has the column 'text' twice"),
        ((*GOOD, "a\t \u200b"), GOOD, {}, r"t\.tsv, line 4: the text is empty"),
        ((*GOOD, "a\rb\tba"), GOOD, {}, r"t\.tsv, line 4: the label 'a\\rb' has a line break"),
        ((*GOOD, "a b\tba", "a  b\tbe"), GOOD, {}, r"t\.tsv, line 5: the label 'a  b' looks like 'a b' of an earlier"),
        ((*GOOD, "é\tba", "e\u0301\tbe"), GOOD, {}, r"t\.tsv, line 5: the label 'e\u0301' looks like 'é' of an"),
        ((*GOOD, "é\tbe"), (*GOOD, "b,e\u0301\tba"), SEVERAL, r"v\.tsv, line 4: the label 'e\u0301' looks like 'é'"),
        (("topic\ttext", "a\tba"), GOOD, {}, r"t\.tsv: every row has the label 'a'"),
        (GOOD, (*GOOD, "c\tba"), {}, r"v\.tsv, line 4: the label 'c' is not in .*t\.tsv, which has 'a', 'b'\."),
        (GOOD, (*GOOD, "a,c\tba"), SEVERAL, r"v\.tsv, line 4: the label 'c' is not in .*t\.tsv, which has 'a', 'b'\."),
        ((*GOOD, "a,,b\tba"), GOOD, SEVERAL, r"t\.tsv, line 4: 'a,,b' has an empty label"),
        ((*GOOD, "a, a\tba"), GOOD, SEVERAL, r"t\.tsv, line 4: the label 'a' is there twice"),
        (("topic\ttext", "\tba"), GOOD, SEVERAL, r"t\.tsv: no row has a label"),
        (("topic\ttext", "b,a\tba", "a,b\tbe"), GOOD, SEVERAL, r"t\.tsv: every row has the labels 'a', 'b'; some"),
        (GOOD, GOOD, {**SEVERAL, "label_separator": " "}, "--label-separator must be a character"),
    ],
)
def test_wrong_tables(
    world: World,
    tmp_path: Path,
    train: tuple[str, ...],
    valid: tuple[str, ...],
    options: dict[str, object],
    message: str,
) -> None:
    tables = (write_table(tmp_path / "t.tsv", *train), write_table(tmp_path / "v.tsv", *valid))
    with pytest.raises(FocusError, match=message):
        prepared_tables(HEAD, world, tmp_path, tables, TOPICS, **options)


def test_only_some_of_many_labels_are_in_a_message(world: World, tmp_path: Path) -> None:
    train = write_table(tmp_path / "t.tsv", "topic\ttext", *(f"{number:02}\tba" for number in range(30)))
    valid = write_table(tmp_path / "v.tsv", "topic\ttext", "other\tba")
    with pytest.raises(FocusError, match=r"which has '00', .*, '19' and 10 more"):
        prepared_tables(HEAD, world, tmp_path, (train, valid), TOPICS)


@pytest.mark.parametrize(
    ("labels", "separator", "thresholds", "message"),
    [
        (("a", "a"), "", (), '"labels" has the label'),
        (("a", "b"), ",", (0.5,), '"thresholds" is (0.5,), not a number between 0 and 1 for each label'),
        (("a", "b"), "", (0.5, 0.5), '"thresholds" is (0.5, 0.5)'),
        (("a", "b"), ",", (0.5, float("nan")), '"thresholds"'),
        (("a", "b"), ",", (0.5, "1"), '"thresholds"'),
        (("a", "b"), 3, (), '"separator" is 3'),
    ],
)
def test_settings_that_are_wrong(labels: object, separator: object, thresholds: object, message: str) -> None:
    assert message in ClassificationHead(labels, separator, thresholds).fault()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weights", ["equal", "balanced"])
def test_the_loss_of_one_label(weights: str, smoothing: float) -> None:
    """Weighted cross-entropy with the weights of scikit-learn, of a distribution that is written out."""
    random = np.random.default_rng(4)
    logits, classes = random.standard_normal((9, 3)).astype(np.float32), np.array([0, 0, 1, 2, 2, 2, 2, 2, 0])
    settings = _loss_settings(weights, smoothing).loss_settings(dict(zip("abc", (3, 1, 5), strict=True)), 9, False)
    expected = torch.from_numpy(classes[:, None].astype(np.float64))
    found = label_loss(_outputs(ClassificationHead(("a", "b", "c")), logits, expected, settings))
    balance = compute_class_weight("balanced", classes=np.arange(3), y=classes) if weights == "balanced" else np.ones(3)
    wanted = (1 - smoothing) * np.eye(3)[classes] + smoothing / 3
    logs = np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    assert found.total.item() == pytest.approx(-(wanted * balance * logs).sum(), rel=1e-5)
    assert found.count == 9


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", ["equal", "balanced"])
def test_the_loss_of_several_labels(weights: str, smoothing: float) -> None:
    """With equal weights that of transformers' ``multi_label_classification``."""
    random = np.random.default_rng(5)
    logits = random.standard_normal((8, 3)).astype(np.float32)
    ones = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], float)
    counts = dict(zip("abc", ones.sum(0).astype(int).tolist(), strict=True))
    settings = _loss_settings(weights, smoothing).loss_settings(counts, 8, True)
    head = ClassificationHead(("a", "b", "c"), ",", (0.5,) * 3)
    found = several_label_loss(_outputs(head, logits, torch.from_numpy(ones), settings))
    has, lacks = (np.log(1 / (1 + np.exp(-sign * logits))) for sign in (1, -1))
    smooth = (1 - smoothing) * ones + smoothing / 2
    balance = np.array([2 / 6, 7 / 1, 7 / 1]) if weights == "balanced" else np.ones(3)
    wanted = -(balance * smooth * has + (1 - smooth) * lacks).mean()
    assert found.total.item() / found.count == pytest.approx(wanted, rel=1e-5)


def _loss_settings(weights: str, smoothing: float) -> LabelOptions:
    return LabelOptions(model=ROOT, train=(ROOT,), valid=(ROOT,), class_weights=weights, label_smoothing=smoothing)


def _outputs(head: ClassificationHead, logits: np.ndarray, expected: torch.Tensor, settings: object) -> Outputs:
    return Outputs(head=head, outputs=[{"logits": torch.from_numpy(logits)}], expected=expected, settings=settings)


@given(st.lists(st.tuples(st.sampled_from(np.linspace(0, 1, 11).tolist()), st.booleans()), min_size=1, max_size=12))
def test_no_threshold_has_a_higher_f1(pairs: list[tuple[float, bool]]) -> None:
    scores, expected = map(list, zip(*pairs, strict=True))
    found = best_threshold(scores, expected)

    def f1(threshold: float) -> float:
        chosen = [score >= threshold for score in scores]
        right = sum(one and other for one, other in zip(chosen, expected, strict=True))
        return 2 * right / max(1, sum(chosen) + sum(expected))

    assert 0 <= found <= 1
    assert f1(found) == max(f1(threshold) for threshold in np.linspace(-0.05, 1.05, 12))
    if not any(expected):
        assert found == 0.5


def test_metrics_of_several_labels_are_those_of_scikit_learn() -> None:
    labels, random = ("a", "b", "c", "d"), np.random.default_rng(2)
    wanted, found = (random.random((20, 4)) < [0.5, 0.2, 0.7, 0] for _ in range(2))
    sets = [
        [tuple(label for label, one in zip(labels, row, strict=True) if one) for row in side]
        for side in (wanted, found)
    ]
    results = [Classifications(chosen, {}) for chosen in sets[1]]
    assert metrics(sets[0], results) == pytest.approx(
        {
            "micro_f1": f1_score(wanted, found, average="micro"),
            "macro_f1": f1_score(wanted[:, :3], found[:, :3], average="macro"),
            "exact_match": (wanted == found).all(1).mean(),
        }
    )
    assert set(metrics([()], [Classifications((), {})]).values()) == {1}


def _finetuned(world: World, train: Path, valid: Path, output: Path, **options: object) -> Manifest:
    given = {"model": world.source, "train": (train,), "valid": (valid,), "truncate": True, "cpu": True, **options}
    job = FinetuningJob(task="classification", options=ClassificationOptions(**given), columns=ClassificationColumns())
    return finetune(job, output, Watcher())


def test_a_classifier_learns_and_is_what_was_evaluated(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first letter tells the label, 51 % have the commoner one. The scores are those of stock fairseq."""
    lines = world.train.read_text(encoding="utf-8").splitlines()
    rows = [f"{'high' if line[0] < 'M' else 'low'}\t{line}" for line in lines]
    train, valid = (write_table(tmp_path / "t.tsv", "label\ttext", *rows[:500]), tmp_path / "v.tsv")
    write_table(valid, "label\ttext", *rows[500:])
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
        write_table(tmp_path / f"{name}.tsv", "label\ttext", *part)
    output = tmp_path / "out"
    given = [word for name in tables for word in (f"--{name}", tmp_path / f"{name}.tsv")]
    base = ("focus", "finetune", "classification", "--model", world.source, "--output", output, "--cpu", "--truncate")
    done = run(*base, *given, "--epochs", 1, "--lr", 0)
    counts = json.loads((output / "focus.json").read_text())["counts"]
    accuracy, macro_f1 = _scores(output, tables["test"])
    assert (counts["test_accuracy"], counts["test_macro_f1"]) == (pytest.approx(accuracy), pytest.approx(macro_f1))
    assert counts["valid_accuracy"] == pytest.approx(_scores(output, tables["valid"])[0])
    assert counts["valid_accuracy"] < 0.7
    high = sum(row.startswith("high") for row in tables["test"]) / 521
    told = f"{output}: accuracy {accuracy:.3f}, macro-f1 {macro_f1:.3f} on 521 test samples."
    assert f"{told} Always giving the commonest result: accuracy {max(high, 1 - high):.3f}.\n" in done.stdout
    assert "valid: " not in done.stdout
    assert "Warning: test: 1 of 521 texts" in done.stdout
    assert "line 522 equals line 5 of train" in describe_directory(output)[-1]
    with open(tmp_path / "test.tsv", "a") as file:
        file.write("middle\tba\n")
    paths = [tmp_path / f"{name}.tsv" for name in tables]
    with pytest.raises(FocusError, match=r"test\.tsv, line 523: the label 'middle' is not in"):
        _finetuned(world, *paths[:2], tmp_path / "other", test=(paths[2],))
    assert not list(tmp_path.glob("other*"))


def test_finetuning_starts_with_a_new_head(world: World, tmp_path: Path) -> None:
    """Also from a classifier of as many labels; without a learning rate the head stays as it was drawn."""
    table = write_table(tmp_path / "t.tsv", "label\ttext", "high\tBa be bi.", "low\tGo gu.")
    heads = []
    for seed, model in ((1, world.source), (2, tmp_path / "1")):
        output = tmp_path / str(seed)
        options = {"model": model, "seed": seed, "epochs": 1, "batch_size": 2, "learning_rate": 0.0}
        _finetuned(world, table, table, output, **options)
        heads.append(torch.load(output / "model.pt")["model"]["classification_heads.classification.dense.weight"])
    assert not torch.equal(*heads)
