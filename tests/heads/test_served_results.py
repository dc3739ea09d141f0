"""Results that are no rows of numbers, samples of several texts, and numbers that are not finite."""

import gzip
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pandas
import pyarrow.parquet
import pytest
import torch
from export_models import (
    ENCODER,
    export_config,
    fairseq_tensors,
    oracle,
    piece_ids,
    random_words,
    texts_of_mixed_lengths,
    train_sentencepiece,
)
from focus_export.directory import read_export, write_export
from focus_export.graph import build_graph
from focus_export.head import Encoded
from focus_export.heads.embedding import EmbeddingHead
from focus_export.onnx_file import write_graph
from focus_export.pipeline import Pipeline
from focus_export.predict_file import predict_file
from focus_export.runtime import Predictor
from focus_export.tokenizer import SentencePieceTokenizer, TokenizerFile
from hypothesis import given, settings
from hypothesis import strategies as st
from piece_kinds import OVERLAP, PieceKinds
from text_model import text_model_outputs
from triton_schema import message_types, read_configuration

from focus_plugin.errors import FocusError
from focus_plugin.jobs.export_triton import export_triton

KINDS = ("heavy", "light")
TEXTS = [
    *texts_of_mixed_lengths(40, seed=3),
    "",
    "ﬁka  kata\u00a0ta\r\nmu",
    "e\u0301 é 😀 \0ka",
    " ".join(random_words(40, seed=4)),
    " ".join(random_words(90, seed=5)),
]


@dataclass(frozen=True)
class Kinds:
    """An export with the head PieceKinds, transformers' model of its encoder and the layer of the head."""

    directory: Path
    model: object
    tokenizer: SentencePieceTokenizer
    weight: np.ndarray
    bias: np.ndarray


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have the head found by an entry point, as that of another package."""
    root = tmp_path_factory.mktemp("package")
    information = root / "kinds-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: kinds\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[focus_fairseq.serving_heads]\npiece_kinds = piece_kinds:HEAD\n")
    sys.path.insert(0, str(root))
    yield
    sys.path.remove(str(root))


@pytest.fixture(scope="module")
def kinds(package: None, tmp_path_factory: pytest.TempPathFactory) -> Kinds:
    root = tmp_path_factory.mktemp("kinds")
    path = train_sentencepiece(root)
    table = piece_ids_of(path)
    model = oracle(len(table) + 1)
    draw = np.random.default_rng(2)
    weight, bias = (draw.standard_normal(shape, np.float32) for shape in ((2, ENCODER.width), (2,)))
    tensors = {**fairseq_tensors(model), "head.kinds.weight": weight, "head.kinds.bias": bias}
    head = PieceKinds(KINDS)
    config = export_config("mean", len(table) + 1)
    object.__setattr__(config, "head", head)
    graph = build_graph(ENCODER, tensors, head)
    file = TokenizerFile(path=path, content=path.read_bytes(), piece_ids=table)
    write_export(root / "kinds", config, lambda file: write_graph(graph, file), file)
    tokenizer = SentencePieceTokenizer(file, config.row_tokens)
    return Kinds(root / "kinds", model, tokenizer, weight, bias)


def piece_ids_of(path: Path) -> np.ndarray:
    import sentencepiece

    return piece_ids(sentencepiece.SentencePieceProcessor(model_file=str(path)))


def expected(kinds: Kinds, text: str) -> list[dict[str, object]]:
    """By transformers, one part at a time, from the pieces on which SentencePiece itself stands."""
    pieces, room = kinds.tokenizer.pieces(text), ENCODER.max_positions - 2
    scores = np.full((len(pieces.ids), 2), np.nan)
    step = room - OVERLAP
    for start in range(0, max(1, len(pieces.ids) - OVERLAP), step):
        ids = [0, *pieces.ids[start : start + room].tolist(), 2]
        with torch.no_grad():
            hidden = kinds.model.roberta(torch.tensor([ids])).last_hidden_state[0, 1:-1].numpy()
        own = hidden @ kinds.weight.T + kinds.bias
        first = 0 if start == 0 else OVERLAP // 2
        scores[start + first : start + len(own)] = own[first:]
    return [
        {"start": int(a), "end": int(b), "kind": KINDS[row.argmax()], "score": pytest.approx(row.max(), abs=1e-4)}
        for a, b, row in zip(pieces.starts, pieces.ends, scores, strict=True)
    ]


def test_every_text_has_its_result_in_its_place(kinds: Kinds) -> None:
    """Texts of several rows among texts of one; what each result needs of its text is still there."""
    assert max(len(kinds.tokenizer.pieces(text).ids) for text in TEXTS) > 4 * ENCODER.max_positions
    predictor = Predictor(kinds.directory, token_budget=50)
    found = list(predictor.predict(TEXTS))
    assert found == [expected(kinds, text) for text in TEXTS]
    assert {piece["kind"] for pieces in found for piece in pieces} == set(KINDS)
    with pytest.raises(FocusError, match="the results of its head, piece_kinds, are not rows of numbers"):
        predictor.rows(TEXTS)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ktamuei  \t\r\n\u00a0\0ﬁ①e\u0301é😀漢ß\u200b"), max_size=60))
def test_pieces_stand_where_their_text_is(kinds: Kinds, text: str) -> None:
    """In order, with no overlap of more than one character, and between them only white space."""
    pieces, end = kinds.tokenizer.pieces(text), 0
    assert pieces.ids.tolist() == kinds.tokenizer.ids(text).tolist()
    for start, after in zip(pieces.starts.tolist(), pieces.ends.tolist(), strict=True):
        assert start >= end - 1
        assert not text[end:start].strip(" \t\r\n\u00a0\u200b\0")
        end = max(end, after)
    assert not text[end:].strip(" \t\r\n\u00a0\u200b\0")


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.tsv", "out.parquet"])
def test_results_of_any_size_are_written(kinds: Kinds, tmp_path: Path, name: str) -> None:
    texts = [text for text in TEXTS if "\n" not in text]
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    want = [expected(kinds, text) for text in texts]
    told: list[int] = []
    predictor = Predictor(kinds.directory, token_budget=50)

    class Phase:
        def __enter__(self):
            return lambda texts, size: told.append(texts)

        def __exit__(self, *_: object) -> None:
            pass

    predict_file(predictor, tmp_path / "texts.txt", tmp_path / name, phase=lambda label, size: Phase())
    assert sum(told) == len(texts)
    if name == "out.parquet":
        found = pyarrow.parquet.read_table(tmp_path / name)["pieces"].to_pylist()
    elif name == "out.tsv":
        rows = [line.split("\t") for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
        assert rows == [
            row for pieces in want for row in [[str(len(pieces))], *([str(p["start"]), p["kind"]] for p in pieces)]
        ]
        return
    else:
        data = (tmp_path / name).read_bytes()
        lines = (gzip.decompress(data) if name.endswith(".gz") else data).decode().splitlines()
        assert [json.loads(line)["line"] for line in lines] == list(range(1, len(texts) + 1))
        found = [json.loads(line)["pieces"] for line in lines]
    assert found == want


def test_a_format_that_the_head_lacks_is_told(kinds: Kinds, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("ka\n")
    with pytest.raises(FocusError, match=r"npy is not .* piece_kinds are jsonl, tsv, parquet"):
        predict_file(Predictor(kinds.directory), tmp_path / "texts.txt", tmp_path / "out.npy")


def test_tables_get_columns_of_lists(kinds: Kinds) -> None:
    frame = Predictor(kinds.directory)(pandas.DataFrame({"text": TEXTS}, index=range(5, 5 + len(TEXTS))))
    assert frame["pieces"].tolist() == [expected(kinds, text) for text in TEXTS]
    assert Predictor(kinds.directory)({"text": []})["pieces"].shape == (0,)


def test_triton_gives_each_result_as_json(kinds: Kinds, tmp_path: Path) -> None:
    export_triton(kinds.directory, tmp_path / "models")
    schema = message_types()
    configuration = read_configuration(schema, tmp_path / "models" / "kinds")
    [output] = configuration.output
    assert (output.name, output.data_type, list(output.dims)) == ("result", schema.TYPE_STRING, [1])
    rows = text_model_outputs(tmp_path / "models", configuration, {"text": TEXTS})["result"]
    assert [json.loads(row[0])["pieces"] for row in rows] == [expected(kinds, text) for text in TEXTS]


@dataclass(frozen=True)
class Difference(EmbeddingHead):
    """How far two texts are apart."""

    inputs: ClassVar[tuple[str, ...]] = ("one", "other")

    def encode(self, tokenizer, sample, truncate):
        one, other = map(tokenizer.ids, sample)
        return Encoded((tokenizer.row(np.concatenate([one, [tokenizer.eos, tokenizer.eos], other]), truncate),))


def _pipeline(head, tokenizer, run):
    return Pipeline(
        head=head,
        outputs=head.outputs(1),
        tokenizer=tokenizer,
        run=run,
        pad=1,
        token_budget=60,
        workers=2,
        truncate=False,
    )


def test_a_sample_may_be_several_texts(kinds: Kinds) -> None:
    """Which the head encodes as it likes; what is not as many is told by its place."""
    pairs = [("ka", "ta mu"), ("", ""), ("kata", "ka")] * 9
    pipeline = _pipeline(
        Difference("mean"), kinds.tokenizer, lambda ids, lengths: {"embedding": np.float32(lengths)[:, None]}
    )
    lengths = [len(kinds.tokenizer.ids(one)) + len(kinds.tokenizer.ids(other)) + 4 for one, other in pairs]
    assert [row.tolist() for row in pipeline.results(pairs)] == [[length] for length in lengths]
    assert Difference("mean").sample("ka\tta mu") == ("ka", "ta mu")
    for wrong, fault in ((("ka",), "is 1 text"), ("ka", "is a str")):
        with pytest.raises(FocusError, match=f"Text 2: {fault}, but the model reads 2 together: one, other"):
            list(pipeline.results([("ka", "ta"), wrong]))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("head", ["mood", "mean"])
def test_a_result_that_is_not_finite_is_told_and_not_written(exports, tmp_path, head, wrong):
    """One token's embedding is damaged, so only texts with that token are."""
    directory = shutil.copytree(exports[head][0], tmp_path / "export")
    tokenizer, texts = exports[head][2], ["ka", "ta", "", *random_words(400, seed=8)]
    token = int(piece_ids(tokenizer)[tokenizer.encode("ta")[-1]])
    _damage(directory, token, wrong)
    bad = [number for number, text in enumerate(texts, 1) if token in piece_ids(tokenizer)[tokenizer.encode(text)]]
    assert 1 < len(bad) < len(texts) / 2
    predictor = Predictor(directory, token_budget=16)
    with pytest.raises(FocusError, match=r"Text \d+: the model's (logits|embedding) is not a finite number") as caught:
        predictor.rows(texts)
    assert int(str(caught.value).split()[1].rstrip(":")) in bad
    good = [text for number, text in enumerate(texts, 1) if number not in bad]
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in [*good, texts[bad[0] - 1]]))
    for name in ("out.jsonl", "out.npy"):
        with pytest.raises(FocusError, match=rf"texts\.txt, line {len(good) + 1}: the model's"):
            predict_file(predictor, tmp_path / "texts.txt", tmp_path / name)
        assert not (tmp_path / name).exists()
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in good))
    for name in ("out.jsonl", "out.npy"):
        assert predict_file(predictor, tmp_path / "texts.txt", tmp_path / name) == len(good)
    assert np.isfinite(np.load(tmp_path / "out.npy")).all()
    for line in (tmp_path / "out.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def _damage(directory: Path, token: int, value: float) -> None:
    """Write a number over a token's embedding, and the checksum of the file anew."""
    from focus_plugin.files import sha256

    weight = next(
        weight
        for weight in onnx.load(directory / "model.onnx", load_external_data=False).graph.initializer
        if weight.name.endswith("embed_tokens.weight")
    )
    offset = int(next(entry.value for entry in weight.external_data if entry.key == "offset"))
    with open(directory / "model.onnx.data", "r+b") as file:
        file.seek(offset + 4 * ENCODER.width * token)
        file.write(np.full(1, value, "<f4").tobytes())
    config = json.loads((directory / "config.json").read_text())
    config["files"]["model.onnx.data"]["sha256"] = sha256(directory / "model.onnx.data")
    (directory / "config.json").write_text(json.dumps(config))


def test_numbers_at_padding_may_be_anything(kinds: Kinds) -> None:
    def run(ids, lengths):
        values = np.zeros((*ids.shape, 2), np.float32)
        values[np.arange(ids.shape[1]) >= lengths[:, None]] = np.nan
        return {"kinds": values}

    pipeline = _pipeline(PieceKinds(KINDS), kinds.tokenizer, run)
    assert [len(result) for result in pipeline.results(TEXTS)] == [len(kinds.tokenizer.ids(text)) for text in TEXTS]


def test_weights_in_a_file_that_is_not_listed_are_refused(exports, tmp_path):
    """The graph names the file of its weights, which need not be the one that is listed and checked."""
    directory = shutil.copytree(exports["mean"][0], tmp_path / "export")
    model = (directory / "model.onnx").read_bytes()
    assert model.count(b"model.onnx.data") > 10
    (directory / "model.onnx.other").write_bytes((directory / "model.onnx.data").read_bytes())
    changed = model.replace(b"model.onnx.data", b"other.onnx.data", 1)
    (directory / "model.onnx").write_bytes(changed)
    (directory / "other.onnx.data").write_bytes((directory / "model.onnx.data").read_bytes())
    with pytest.raises(
        FocusError, match=r"model\.onnx: has weights in 'other\.onnx\.data', which is not a file of this"
    ):
        read_export(directory)
