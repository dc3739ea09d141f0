"""Embeddings: tables of pairs, training compared with sentence-transformers, and the whole way of the task."""

import gzip
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq_models import CONFIG, World
from focus_export.heads.embedding import EmbeddingHead
from focus_export.runtime import Predictor
from invoked import focus, refused
from prepared_tables import prepared_tables, write_table
from scipy.stats import rankdata
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from torch import Tensor
from training_log import chosen_by

import focus_plugin.models.focus_roberta
import focus_plugin.tasks.focus_heads  # noqa: F401  both register what fairseq is asked for
from focus_plugin.checkpoint.names import from_hugging_face
from focus_plugin.embeddings.pairs import EmbeddingColumns, pairs_of_file
from focus_plugin.embeddings.quality import correlations, retrieval_accuracy
from focus_plugin.errors import FocusError
from focus_plugin.files import silent
from focus_plugin.finetuning.head_file import write_head
from focus_plugin.heads.embedding import HEAD, EmbeddingOptions, fairseq_options
from focus_plugin.jobs.export_huggingface import export_huggingface

Rows = Sequence[Sequence[str]]


def _table(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    return write_table(path, *("\t".join(map(str, row)) for row in rows))


PAIR = ("first", "second")
TRIPLE = (*PAIR, "negative")
SCORED = (*PAIR, "score")
GOOD = (PAIR, ("ba", "be"), ("bi", "bo"))


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ((("ba be",), ("bo",)), {}, r"t\.tsv, line 1: its header lacks the columns"),
        ((), {}, r"t\.tsv: the text is empty"),
        ((PAIR,), {}, r"t\.tsv: the table has a header but no rows"),
        ((PAIR, ("ba", "be", "bi")), {}, r"t\.tsv, line 2: 3 columns, but the header has 2"),
        ((*GOOD, ("ba", " \u00a0")), {}, r"t\.tsv, line 4: the column 'second' is empty"),
        ((*GOOD, ("ba", "be bi " * 50)), {}, r"t\.tsv, line 4: .*62"),
        ((TRIPLE, ("ba", "be", "")), {}, r"t\.tsv, line 2: the column 'negative' is empty"),
        ((TRIPLE, ("ba", "be", "be")), {}, r"t\.tsv, line 2: the negative is one of the texts of the pair"),
        (((*TRIPLE, "score"),), {}, r"t\.tsv, line 1: has the columns 'score' and 'negative'"),
        ((PAIR, ("ba", "be")), {}, r"t\.tsv: no two pairs without a common text are in a batch of 32"),
        ((PAIR, *[("ba", "be")] * 9), {}, r"t\.tsv: no two pairs without a common text"),
        ((PAIR, ("ba", "be"), ("ba", "bo"), ("bo", "be")), {}, r"t\.tsv: no two pairs without a common text"),
        (GOOD, {"batch_size": 1}, r"t\.tsv: no two pairs .* a batch of 1,"),
        (GOOD, {"loss": "cosent"}, r"t\.tsv, line 2: --loss cosent needs a column with scores"),
        ((SCORED, ("ba", "be", 1), ("bi", "bo", 0)), {}, r"t\.tsv, line 2: has scores; give --loss cosent or cosine"),
        (
            (SCORED, ("ba", "be", "much")),
            {"loss": "cosent"},
            r"t\.tsv, line 2: the score 'much' is not a finite num",
        ),
        ((SCORED, ("ba", "be", "")), {"loss": "cosent"}, r"t\.tsv, line 2: the score '' is not a finite number"),
        ((SCORED, ("ba", "be", "nan")), {"loss": "cosent"}, r"t\.tsv, line 2: the score 'nan' is not a finite number"),
        ((SCORED, ("ba", "be", "-inf")), {"loss": "cosent"}, r"line 2: the score '-inf' is not a finite number"),
        ((SCORED, ("ba", "be", "0_5")), {"loss": "cosent"}, r"line 2: the score '0_5' is not a finite number"),
        ((SCORED, *[("ba", "be", 0.5)] * 3), {"loss": "cosent"}, r"t\.tsv: every pair has the score 0\.5"),
        ((SCORED, ("ba", "be", 0), ("a", "b", 5)), {"loss": "cosine"}, r"t\.tsv, line 3: has the score 5\.0, which no"),
    ],
)
def test_wrong_tables(world: World, tmp_path: Path, rows: Rows, options: dict[str, object], message: str) -> None:
    train = _table(tmp_path / "t.tsv", rows)
    with pytest.raises(FocusError, match=message):
        prepared_tables(HEAD, world, tmp_path, (train, train), **options)


def test_a_table_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    """With a byte order mark, CRLF, other columns and another order; white space within cells is kept."""
    table = tmp_path / "t.tsv"
    table.write_bytes("\ufeffscore\tsw\tid\ten\r\n0.5\t ndege\t1\tbird \r\n\r\n1\tmti\t2\ttree\r\n".encode())
    columns = EmbeddingColumns(first_column="en", second_column="sw")
    found = [(each.line, each.sample, each.expected.score) for each in pairs_of_file(table, columns, silent)]
    assert found == [(2, ("bird ", " ndege"), 0.5), (4, ("tree", "mti"), 1.0)]
    lines = [(each.line, each.sample, each.expected) for each in pairs_of_file(table, EmbeddingColumns(), silent)]
    assert [line for line, *_ in lines] == [1, 2, 4]
    assert all(expected is None for *_, expected in lines)


def test_both_texts_of_a_scored_pair_can_be_in_one_cell(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text('ID,Text,Score\n1,"bird\nndege",0.5\n2,"tree\nmti",1\n')
    columns = EmbeddingColumns(pair_column="Text", score_column="Score")
    found = [(each.line, each.sample, each.expected.score) for each in pairs_of_file(table, columns, silent)]
    assert found == [(2, ("bird", "ndege"), 0.5), (4, ("tree", "mti"), 1.0)]


CLOSE = {"atol": 1e-5, "rtol": 1e-4}


def _random_pairs(count: int) -> list[tuple[str, str]]:
    """Different sentences of some words, and their translations, each word by word."""
    draw = random.Random(6)
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
    words = ["".join(pair) for pair in zip(draw.sample(syllables, 60), draw.sample(syllables, 60), strict=True)]
    sentences: dict[tuple[int, ...], None] = {}
    while len(sentences) < count:
        sentences[tuple(draw.choices(range(30), k=draw.randint(3, 7)))] = None
    return [(" ".join(words[i] for i in each), " ".join(words[30 + i] for i in each)) for each in sentences]


@pytest.fixture(scope="module")
def theirs(world: World) -> SentenceTransformer:
    """The encoder in sentence-transformers, without dropout."""
    export_huggingface(world.source, world.root / "hf")
    return SentenceTransformer(str(world.root / "hf"), device="cpu").eval()


def _gradients(
    world: World, data: Path, options: EmbeddingOptions, settings: Mapping[str, object]
) -> tuple[list[int], Tensor, dict[str, Tensor]]:
    """The numbers of the samples of a batch, its mean loss, and the gradients by fairseq's names, as fairseq-train has
    them."""
    from fairseq import options as fairseq
    from fairseq import tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    from focus_plugin.checkpoint.release_state import fairseq_shape

    shape = [f"--{name.replace('_', '-')}={size}" for name, size in fairseq_shape(CONFIG).items() if size]
    words = [str(data), *fairseq_options(EmbeddingHead(), options), "--arch", "focus_roberta", *shape, "--cpu"]
    words += ["--cpu-precision", "float32", "--loss-settings", json.dumps(settings)]
    cfg = convert_namespace_to_omegaconf(fairseq.parse_args_and_arch(fairseq.get_training_parser(), words))
    task = tasks.setup_task(cfg.task)
    model, criterion = task.build_model(cfg.model).eval(), task.build_criterion(cfg.criterion)
    model.load_state_dict(torch.load(world.source / "model.pt")["model"])
    task.load_dataset("train")
    batches = task.get_batch_iterator(task.dataset("train"), max_sentences=options.batch_size, seed=1)
    batch = next(batches.next_epoch_itr(shuffle=False))
    loss, count, _ = criterion(model, batch)
    (loss / count).backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    return batch["id"].tolist(), loss.detach() / count, found


def _ours_and_theirs(
    world: World, directory: Path, table: Rows, theirs: torch.nn.Module, **options: object
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The loss and the gradients of a batch by fairseq-train and by a loss of sentence-transformers."""
    options |= {"batch_size": 8}
    train = _table(directory / "t.tsv", table)
    data, prepared = prepared_tables(HEAD, world, directory, (train, train), **options)
    write_head(data / "head.json", prepared.head, "")
    given = EmbeddingOptions(model=world.source, train=(train,), valid=(train,), **options)
    chosen, ours, gradients = _gradients(world, data, given, prepared.loss_settings)
    header, *rows = table
    assert len(chosen) > 5
    columns = [list(column) for column in zip(*(rows[number] for number in chosen), strict=True)]
    labels = torch.tensor([float(score) for score in columns.pop()]) if header[-1] == "score" else None
    theirs.model.zero_grad()
    value = theirs([theirs.model.tokenize(column) for column in columns], labels)
    value.backward()
    wanted = from_hugging_face(
        {
            name.replace("0.auto_model", "roberta").replace("0.model", "roberta"): parameter.grad
            for name, parameter in theirs.model.named_parameters()
            if parameter.grad is not None
        }
    )
    tensors = {name: torch.as_tensor(gradient) for name, gradient in wanted.items()}
    return {"loss": ours, **gradients}, {"loss": value.detach(), **tensors}


@pytest.mark.parametrize("mini_batch_size", [3, 8])
@pytest.mark.parametrize("header", [PAIR, TRIPLE])
def test_contrastive_training_is_theirs(
    world: World, theirs: SentenceTransformer, tmp_path: Path, header: Sequence[str], mini_batch_size: int
) -> None:
    pairs = _random_pairs(40)
    rows = [(one, other, pairs[i + 20][0])[: len(header)] for i, (one, other) in enumerate(pairs[:20])]
    loss = losses.CachedMultipleNegativesRankingLoss(theirs, mini_batch_size=3)
    ours, wanted = _ours_and_theirs(world, tmp_path, [header, *rows], loss, mini_batch_size=mini_batch_size)
    torch.testing.assert_close(ours, wanted, **CLOSE)


@pytest.mark.parametrize(("name", "loss"), [("cosent", losses.CoSENTLoss), ("cosine", losses.CosineSimilarityLoss)])
def test_training_on_scores_is_theirs(
    world: World, theirs: SentenceTransformer, tmp_path: Path, name: str, loss: type[torch.nn.Module]
) -> None:
    rows = [(*pair, (i % 5) / 4) for i, pair in enumerate(_random_pairs(20))]
    ours, wanted = _ours_and_theirs(world, tmp_path, [SCORED, *rows], loss(theirs), loss=name, mini_batch_size=3)
    torch.testing.assert_close(ours, wanted, **CLOSE)


@pytest.mark.parametrize("mini_batch_size", [3, 8])
def test_nested_training_is_theirs(
    world: World, theirs: SentenceTransformer, tmp_path: Path, mini_batch_size: int
) -> None:
    """They draw one of the lower layers, here the first and not what it reads, which is no encoder."""
    loss = losses.MultipleNegativesRankingLoss(theirs)
    nested = losses.Matryoshka2dLoss(theirs, loss, [CONFIG.width, 16, 5], n_dims_per_step=-1)
    random.seed(next(seed for seed in range(9) if random.Random(seed).sample(range(CONFIG.layers), 1) == [1]))
    options = {"nested_dimensions": (16, 5), "nested_layers": (1,), "mini_batch_size": mini_batch_size}
    ours, wanted = _ours_and_theirs(world, tmp_path, [PAIR, *_random_pairs(20)], nested, **options)
    torch.testing.assert_close(ours, wanted, **CLOSE)


@pytest.fixture(scope="module")
def trained(world: World) -> Path:
    """A model that finds translations, evaluated on pairs and, as a test, on scored pairs."""
    pairs = _random_pairs(3260)
    _table(world.root / "train.tsv", [PAIR, *pairs[60:]])
    _table(world.root / "valid.tsv", [PAIR, *pairs[:60]])
    shuffled = [(one, pairs[(i + i % 2) % 60][1], 1 - i % 2) for i, (one, _) in enumerate(pairs[:60])]
    _table(world.root / "test.tsv", [SCORED, *shuffled])
    tables = [word for split in ("train", "valid", "test") for word in (f"--{split}", world.root / f"{split}.tsv")]
    how = ("--epochs", 1, "--batch-size", 32, "--mini-batch-size", 20, "--lr", "3e-3", "--cpu")
    how += ("--nested-dimensions", 4, "--nested-dimensions", 16, "--nested-layers", 1)
    said = focus("finetune", "embedding", "--model", world.source, *tables, *how, "--output", world.root / "model")
    assert "model: retrieval-accuracy " in said
    assert ", retrieval-accuracy-of-4-dimensions " in said
    assert "on 60 validation samples." in said
    assert "model: spearman " in said
    return world.root / "model"


def _vectors(model: Path, texts: Sequence[str], **options: object) -> np.ndarray:
    return Predictor(model, **options).rows(texts)


def test_it_learns_and_the_measures_are_those_of_what_is_served(world: World, trained: Path) -> None:
    counts = json.loads((trained / "focus.json").read_text())["counts"]
    valid, test = (
        [line.split("\t") for line in (world.root / f"{split}.tsv").read_text().splitlines()[1:]]
        for split in ("valid", "test")
    )
    onnx = world.root / "onnx"
    focus("export", "--onnx", "--model", trained, "--output", onnx)
    first, second = (_vectors(onnx, [row[place] for row in valid]) for place in (0, 1))
    found = retrieval_accuracy(first, second, [(row[0], row[1]) for row in valid])
    assert found["retrieval_accuracy"] > 0.8
    assert chosen_by(trained, "retrieval_accuracy")
    for name, value in found.items():
        assert counts[f"valid_{name}"] == pytest.approx(value)
    other = _vectors(onnx, [row[1] for row in test])
    found = correlations(first, other, [float(row[2]) for row in test])
    assert counts["test_spearman"] == pytest.approx(found["spearman"], abs=1e-4)
    assert counts["test_spearman"] > 0.6
    for model in (trained, onnx):
        said = focus("evaluate", "--model", model, "--table", world.root / "valid.tsv", "--cpu")
        assert f"retrieval-accuracy {counts['valid_retrieval_accuracy']:.3f}, first-to-second" in said
        assert "on 60 samples" in said
        layer = (
            f", 1-layers-retrieval-accuracy {counts['valid_1_layers_retrieval_accuracy']:.3f}, 1-layers-first" in said
        )
        assert layer == (model == trained), "an export has the layers that it was made with"


def test_texts_with_another_nearest_one_are_listed(world: World, trained: Path, tmp_path: Path) -> None:
    """As many as the accuracies say, from both sides of the pairs."""
    rows = [line.split("\t") for line in (world.root / "valid.tsv").read_text().splitlines()[1:]]
    mixed = _table(tmp_path / "t.tsv", [PAIR, *([one, rows[i - i % 3][1]] for i, (one, _) in enumerate(rows))])
    files = ("--errors", tmp_path / "errors.tsv", "--report", tmp_path / "report.html")
    said = focus("evaluate", "--model", trained, "--table", mixed, "--cpu", *files)
    header, *found = (tmp_path / "errors.tsv").read_text().splitlines()
    assert header == "line\texpected\tpredicted\ttext"
    there, back = (float(share) for share in re.findall(r" (?:first-to-second|second-to-first) ([\d.]+)", said))
    pairs = [line.split("\t") for line in mixed.read_text().splitlines()]
    cells = [line.split("\t") for line in found]
    assert len(cells) == round(60 * (1 - there)) + round(60 * (1 - back)) > 0
    for line, expected, predicted, text in cells:
        assert {expected, text} == {*pairs[int(line) - 1]}
        assert predicted != expected
    assert f"of {len(cells):,}." in (tmp_path / "report.html").read_text()


def test_pairs_with_scores_are_listed_by_the_difference_of_their_ranks(
    world: World, trained: Path, tmp_path: Path
) -> None:
    table = world.root / "test.tsv"
    focus("evaluate", "--model", trained, "--table", table, "--cpu", "--errors", tmp_path / "errors.tsv")
    header, *found = (line.split("\t") for line in (tmp_path / "errors.tsv").read_text().splitlines())
    assert header == ["line", "expected", "predicted", "first", "second"]
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert all(rows[int(line) - 1] == [*texts, score] for line, score, _, *texts in found)
    ranks = [rankdata([float(row[place]) for row in found]) for place in (1, 2)]
    differences = np.abs(ranks[0] - ranks[1])
    assert len(found) == 60
    assert (np.diff(differences) <= 0).all()


def _sides(directory: Path, first: str, second: str) -> tuple[object, ...]:
    """Two texts as a table, the second one compressed."""
    (directory / "t.en").write_bytes(first.encode())
    (directory / "t.sw.gz").write_bytes(gzip.compress(second.encode()))
    return ("--table", directory / "t.en", "--table", directory / "t.sw.gz", "--line-aligned")


def test_two_aligned_texts_are_the_table_of_their_lines(world: World, trained: Path, tmp_path: Path) -> None:
    """With a byte order mark, CRLF, and lines that are blank in both."""
    table = world.root / "valid.tsv"
    first, second = zip(*(line.split("\t") for line in table.read_text().splitlines()[1:]), strict=True)
    sides = _sides(tmp_path, "\ufeff" + "\r\n".join((*first, "", "")), "\n".join((*second, " ")))
    how = ("evaluate", "--model", trained, "--cpu")
    assert focus(*how, *sides) == focus(*how, "--table", table)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("ba\nbe\nbi\n", "a\nb\n", r"t\.en has 3 lines and .*t\.sw\.gz has 2; each line of one must be"),
        ("ba\n\nbi\n", "a\nb\nc\n", r"t\.en, line 2: is empty, but this line of .*t\.sw\.gz is not\."),
        ("ba\nbe\nbi\n", "a\n\u00a0\nc\n", r"t\.sw\.gz, line 2: is empty, but this line of .*t\.en is not\."),
        ("\n", "\n", r"t\.en and 1 more file: both texts are empty"),
    ],
)
def test_texts_that_are_not_aligned(trained: Path, tmp_path: Path, first: str, second: str, message: str) -> None:
    sides = _sides(tmp_path, first, second)
    assert re.search(message, refused("evaluate", "--model", trained, "--cpu", *sides))


def test_aligned_texts_are_two_files(trained: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.txt", "ba\tbe")
    said = refused("evaluate", "--model", trained, "--table", table, "--line-aligned")
    assert said.startswith(f"{table}: --line-aligned needs two files for each table, but this one has 1. (")


def test_it_is_judged_by_its_pairs_or_by_a_text(world: World, trained: Path, tmp_path: Path) -> None:
    for valid, metric in ((world.root / "valid.tsv", "retrieval-accuracy"), (world.valid, "cosine")):
        less = ("--precision", "int8", "--valid", valid, "--max-loss", "0.2", "--output", tmp_path / metric)
        said = focus("export", "--onnx", "--model", trained, *less)
        assert re.search(rf"{metric} as int8 (0\.9|1\.0)", said), said


def test_a_text_says_nothing_about_how_good_embeddings_are(world: World, trained: Path) -> None:
    said = refused("evaluate", "--model", trained, "--table", world.valid, "--cpu")
    assert "has no expected results for embedding" in said


def test_the_release_has_no_tensors_of_a_head(world: World, trained: Path) -> None:
    tensors = [torch.load(model / "model.pt")["model"] for model in (world.source, trained)]
    assert tensors[0].keys() == tensors[1].keys()
    assert HEAD.module is None
    assert json.loads((trained / "head.json").read_text())["tensors"] == ""


CUTS = [{"dimensions": 16}, {"layers": 1}, {"dimensions": 4, "layers": 1}]


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_what_is_cut_is_what_was_measured_and_what_sentence_transformers_computes(
    world: World, trained: Path, tmp_path: Path, cut: Mapping[str, int]
) -> None:
    words = [word for name, value in cut.items() for word in (f"--{name}", value)]
    focus("export", "--onnx", "--model", trained, *words, "--output", tmp_path / "onnx")
    focus("export", "--hf", "--model", trained, *words, "--output", tmp_path / "hf")
    counts = json.loads((trained / "focus.json").read_text())["counts"]
    name = f"valid_{'1_layers_' if 'layers' in cut else ''}retrieval_accuracy"
    name += f"_of_{cut['dimensions']}_dimensions" if "dimensions" in cut else ""
    said = focus("evaluate", "--model", tmp_path / "onnx", "--table", world.root / "valid.tsv", "--cpu")
    assert f": retrieval-accuracy {counts[name]:.3f}, first" in said
    assert ("of-4-dimensions" in said) == (cut.get("dimensions") != 4)
    texts = [line.split("\t")[0] for line in (world.root / "valid.tsv").read_text().splitlines()]
    found = _vectors(tmp_path / "onnx", texts)
    assert found.shape == (len(texts), cut.get("dimensions", CONFIG.width))
    model = SentenceTransformer(str(tmp_path / "hf"), device="cpu")
    np.testing.assert_allclose(model.encode(texts), found, atol=1e-5, rtol=0)
    assert len(model[0].auto_model.encoder.layer) == cut.get("layers", CONFIG.layers)


def test_nested_embeddings_are_good(trained: Path) -> None:
    counts = json.loads((trained / "focus.json").read_text())["counts"]
    found = {name: value for name, value in counts.items() if name.startswith("valid_") and "accuracy" in name}
    assert len(found) == 2 * 3
    assert min(found.values()) > 0.4, found
    assert counts["test_1_layers_spearman_of_16_dimensions"] > 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("export", "--onnx", "--dimensions", CONFIG.width + 1), "has 32 dimensions, not 33."),
        (("export", "--hf", "--layers", CONFIG.layers + 1), "has 2 layers, not 3."),
        (("finetune", "embedding", "--nested-dimensions", 32), "has 32 dimensions; those nested in it must be fewer"),
        (("finetune", "embedding", "--nested-layers", 2), "has 2 layers; those nested in it must be fewer, not 2."),
        (("finetune", "embedding", *["--nested-layers", 1] * 2), '"nested_layers" is (1, 1), not different numbers'),
        (("finetune", "embedding", "--freeze-layers", CONFIG.layers), "--freeze-layers 2: nothing would be trained"),
    ],
)
def test_cuts_that_do_not_fit(world: World, tmp_path: Path, words: Sequence[object], message: str) -> None:
    table = _table(tmp_path / "t.tsv", GOOD)
    tables = ("--train", table, "--valid", table, "--cpu") if words[0] == "finetune" else ()
    command = [*words, "--model", world.source, *tables, "--output", tmp_path / "output"]
    assert message in refused(*command)
    assert [path.name for path in tmp_path.iterdir()] == ["t.tsv"]


@pytest.mark.parametrize(
    "fields",
    [
        {"pooling": "last"},
        {"dimensions": 0},
        {"layers": True},
        {"dimensions": "4"},
        {"nested_layers": (1, -1)},
        {"nested_dimensions": 4},
        {"nested_dimensions": (4, 4)},
    ],
    ids=str,
)
def test_fields_of_a_damaged_file_are_refused(fields: Mapping[str, object]) -> None:
    (name,) = fields
    assert f'"{name}" is' in str(EmbeddingHead(**fields).fault())
    assert EmbeddingHead("first", 4, 1, (2,), (1,)).fault() is None
