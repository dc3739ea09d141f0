"""The export directory and the predictor, on small random models."""

import gc
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import onnxruntime
import pandas
import pytest
from export_models import (
    ENCODER,
    LABELS,
    expected,
    piece_ids,
    random_words,
    texts_of_mixed_lengths,
    write_small_export,
)
from focus_export.ahead import ahead
from focus_export.batching import COSTS_PER_BUDGET, batches_by_length, padded
from focus_export.directory import INPUTS, read_export, write_export
from focus_export.pipeline import WINDOW_BATCHES
from focus_export.providers import start_session
from focus_export.runtime import Predictor, run_bound
from focus_export.sequence_head import Classification
from hypothesis import given
from hypothesis import strategies as st

from focus_plugin.errors import FocusError
from focus_plugin.files import sha256

TOLERANCE = 1e-5
FILES = ("model.onnx", "model.onnx.data", "sentencepiece.model", "piece_ids.npy")
NOTHING = {"bytes": 0, "sha256": ""}


@pytest.fixture(scope="module")
def classifier(exports):
    return Predictor(exports["mood"][0])


@pytest.fixture(scope="module")
def embedder(exports):
    return Predictor(exports["mean"][0])


@pytest.fixture
def copy(exports, tmp_path):
    """A copy of the classifier's export that a test may damage."""
    return shutil.copytree(exports["mood"][0], tmp_path / "copy")


def rewrite_config(directory, **changes):
    path = directory / "config.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not Ellipsis}))


def rewrite_file(directory, name, content):
    """Replace a file and its checksum, as another program that writes the format might."""
    (directory / name).write_bytes(content)
    files = json.loads((directory / "config.json").read_text())["files"]
    entry = {"bytes": len(content), "sha256": sha256(directory / name)}
    rewrite_config(directory, files={**files, name: entry})


def assert_fault(directory, pattern):
    with pytest.raises(FocusError, match=pattern) as caught:
        Predictor(directory)
    assert str(directory) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("head", ["mean", "first"])
def test_embeddings_of_a_shuffled_mix_come_in_order(exports, head):
    texts = texts_of_mixed_lengths(200)
    results = list(Predictor(exports[head][0], token_budget=64).predict(texts))
    assert len(results) == len(texts)
    for text, result in zip(texts, results, strict=True):
        assert result.dtype == np.float32
        assert result.shape == (ENCODER.width,)
        assert np.abs(result - expected(exports, head, text)).max() <= TOLERANCE


def test_classifications_of_a_shuffled_mix_come_in_order(exports):
    texts = texts_of_mixed_lengths(200, seed=1)
    classifier = Predictor(exports["mood"][0], token_budget=50)
    for text, result in zip(texts, classifier.predict(texts), strict=True):
        logits = expected(exports, "mood", text).astype(np.float64)
        powers = np.exp(logits)
        assert isinstance(result, Classification)
        assert tuple(result.scores) == LABELS
        assert result.label == LABELS[int(logits.argmax())]
        assert np.abs(np.array(list(result.scores.values())) - powers / powers.sum()).max() <= TOLERANCE


def test_a_predictor_gives_the_rows_of_all_texts(exports):
    """Embeddings, or the probabilities of the labels."""
    texts = texts_of_mixed_lengths(100, seed=6)
    for head, size in (("mean", ENCODER.width), ("mood", len(LABELS))):
        predictor = Predictor(exports[head][0], token_budget=40)
        rows = predictor.rows(iter(texts))
        want = np.array([expected(exports, head, text) for text in texts], np.float64)
        if head == "mood":
            want = np.exp(want) / np.exp(want).sum(1, keepdims=True)
        assert np.abs(rows - want).max() <= TOLERANCE
        assert predictor.rows([]).shape == (0, size)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 31, 32, 33])
def test_windows_end_anywhere(exports, count):
    # an empty text is 2 tokens, so that a window of the smallest budget is full after 16 of them
    assert WINDOW_BATCHES // 2 == 16
    results = list(Predictor(exports["mean"][0], token_budget=1).predict([""] * count))
    assert len(results) == count
    assert all(np.array_equal(result, results[0]) for result in results)


def test_a_single_text_needs_no_other_thread(exports, monkeypatch):
    """Starting threads takes longer than a small model."""
    predictor, texts = Predictor(exports["mean"][0]), ["one text", "and another one"]
    want = next(iter(predictor.predict(texts)))

    def refuse(thread: threading.Thread) -> None:
        raise AssertionError(f"{thread} was started")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    [found] = predictor.predict(texts[:1])
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_an_endless_stream_is_read_some_windows_ahead(exports):
    taken, ended = [], threading.Event()

    def endless():
        try:
            while True:
                taken.append("ka")
                yield "ka"
        finally:
            ended.set()

    predictor = Predictor(exports["mean"][0], token_budget=8)
    windows = predictor.windows(endless())
    window = len(next(windows))
    assert WINDOW_BATCHES * 8 // 5 < window <= WINDOW_BATCHES * 8 // 2
    for done in range(2, 7):
        assert len(next(windows)) == window
        assert len(taken) <= (done + 2) * window, "one window lies ready, one is being made"
    assert not ended.is_set()
    windows.close()
    assert ended.wait(20), "who stops asking ends the reading"


def test_what_came_before_an_error_comes_first(exports):
    def failing():
        yield from ["ka"] * 100
        raise OSError("the disk is gone")

    results = []
    with pytest.raises(OSError, match="the disk is gone"):
        results.extend(Predictor(exports["mean"][0], token_budget=8).windows(failing()))
    assert 50 < sum(map(len, results)) < 100


def test_closing_frees_what_was_read_though_reading_then_fails():
    """At once, not when the garbage collector comes, which an error that holds itself would need."""

    class File:
        pass

    waits = threading.Event()

    def lines(file):
        yield from ("ka", "ta")
        waits.set()
        time.sleep(0.5)
        raise OSError(f"{file} fails once nobody reads on")

    file = File()
    there = weakref.ref(file)
    read = ahead(lines(file))
    del file
    assert next(read) == "ka"
    assert waits.wait(20)
    gc.disable()
    try:
        read.close()
        assert there() is None
    finally:
        gc.enable()


def test_binding_gives_what_running_gives(exports):
    """The way inputs and outputs go on a GPU, on the device that is here."""
    session = start_session(exports["mean"][0] / "model.onnx", "cpu")
    ids, lengths = padded([np.array([0, 5, 6, 2], np.int32), np.array([0, 7, 2], np.int32)], 1)
    feeds = dict(zip(INPUTS, (ids, lengths), strict=True))
    want = session.run(["embedding"], feeds)
    assert np.array_equal(run_bound(session, feeds, ["embedding"], "cpu"), want)


def test_empty_blank_and_unknown_texts_are_predicted(exports, embedder):
    texts = ["", "   ", "漢", "漢 Ω kata", "<s> </s> <pad>", "\0", "ka\tta"]
    for text, result in zip(texts, embedder.predict(texts), strict=True):
        assert np.abs(result - expected(exports, "mean", text)).max() <= TOLERANCE


def test_a_text_too_long_is_named_by_its_number_and_tokens(exports, embedder):
    tokenizer = exports["mean"][2]
    long = " ".join(random_words(30, seed=4))
    tokens = len(tokenizer.encode(long)) + 2
    with pytest.raises(FocusError, match=rf"Text 3: {tokens} tokens, .* at most {ENCODER.max_positions}"):
        list(embedder.predict(["ka", "", long, "ta"]))


def test_a_text_of_exactly_the_maximum_is_taken_and_one_more_piece_is_not(exports, embedder):
    tokenizer, text = exports["mean"][2], "漢"
    while len(tokenizer.encode(text)) < ENCODER.max_positions - 2:
        text += " 漢"
    assert len(tokenizer.encode(text)) == ENCODER.max_positions - 2
    (result,) = embedder.predict([text])
    assert np.abs(result - expected(exports, "mean", text)).max() <= TOLERANCE
    with pytest.raises(FocusError, match="tokens"):
        list(embedder.predict([text + " 漢"]))


def test_truncation_keeps_the_first_pieces_and_the_end_mark(exports):
    long = " ".join(random_words(30, seed=4))
    first, second = Predictor(exports["mean"][0], truncate=True).predict([long, "ka"])
    assert np.abs(first - expected(exports, "mean", long, truncate_to=ENCODER.max_positions)).max() <= TOLERANCE
    assert np.abs(second - expected(exports, "mean", "ka")).max() <= TOLERANCE


def cost(lengths, batches, budget):
    return sum(budget // COSTS_PER_BUDGET + len(batch) * max(lengths[index] for index in batch) for batch in batches)


def greedy(lengths, budget):
    """As many of the longest as the budget takes, and so on."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    while order:
        rows = max(1, budget // lengths[order[0]])
        yield order[:rows]
        order = order[rows:]


@given(st.lists(st.integers(1, 40)), st.integers(1, 200))
def test_batches_hold_every_text_once_within_the_budget(lengths, budget):
    batches = [batch.tolist() for batch in batches_by_length(lengths, budget)]
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget
    for before, after in itertools.pairwise(batches):
        assert min(lengths[index] for index in before) >= max(lengths[index] for index in after)
    assert cost(lengths, batches, budget) <= cost(lengths, list(greedy(lengths, budget)), budget)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=9), st.integers(1, 5000))
def test_no_cut_of_the_sorted_texts_costs_less(lengths, budget):
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    costs = []
    for cuts in itertools.product([False, True], repeat=len(order) - 1):
        batches = [[order[0]]]
        for index, cut in zip(order[1:], cuts, strict=True):
            if cut:
                batches.append([])
            batches[-1].append(index)
        if all(len(batch) == 1 or len(batch) * lengths[batch[0]] <= budget for batch in batches):
            costs.append(cost(lengths, batches, budget))
    assert cost(lengths, batches_by_length(lengths, budget), budget) == min(costs)


@given(st.lists(st.lists(st.integers(2, 99), min_size=1, max_size=9), min_size=1, max_size=5))
def test_padding_is_on_the_right(rows):
    ids, lengths = padded([np.array(row, np.int32) for row in rows], 1)
    assert ids.shape == (len(rows), max(map(len, rows)))
    for row, padded_row, length in zip(rows, ids, lengths, strict=True):
        assert padded_row[:length].tolist() == row
        assert (padded_row[length:] == 1).all()


def test_an_export_is_read_as_it_was_written(exports):
    directory, _, tokenizer = exports["mood"]
    export = read_export(directory)
    assert {path.name for path in directory.iterdir()} == {
        "model.onnx",
        "model.onnx.data",
        "sentencepiece.model",
        "piece_ids.npy",
        "config.json",
    }
    assert export.config.head.labels == LABELS
    assert ([output.name for output in export.config.outputs], export.config.precision) == (["logits"], "fp32")
    assert export.tokenizer.piece_ids.dtype == np.int32
    assert np.array_equal(export.tokenizer.piece_ids, piece_ids(tokenizer))
    values = json.loads((directory / "config.json").read_text())
    assert (values["version"], values["head"], values["outputs"]) == (3, "classification", ["logits"])


def test_a_failed_model_leaves_no_directory(tmp_path, exports):
    export = read_export(exports["mood"][0])

    def fail(path):
        path.write_bytes(b"half")
        raise FocusError("differs; nothing written")

    with pytest.raises(FocusError, match="nothing written"):
        write_export(tmp_path / "new", export.config, fail, export.tokenizer)
    assert not list(tmp_path.iterdir())


def test_a_directory_in_use_and_parts_that_do_not_fit_are_refused(tmp_path, exports):
    export = read_export(exports["mood"][0])
    with pytest.raises(FocusError, match="already exists"):
        write_export(exports["mood"][0], export.config, print, export.tokenizer)
    wrong = replace(export.tokenizer, piece_ids=np.array([0, 9999]))
    with pytest.raises(FocusError, match="the tokenizer's id 1 has token id 9999, outside the vocabulary"):
        write_export(tmp_path / "new", export.config, print, wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "piece_ids.npy", "config.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    assert_fault(copy, f"{name}: no such file")


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "sentencepiece.model", "piece_ids.npy"])
def test_a_truncated_or_damaged_file_is_named(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    assert_fault(copy, f"{name}: truncated, damaged or changed")
    (copy / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert_fault(copy, f"{name}: truncated, damaged or changed")
    (copy / name).write_bytes(content)
    assert Predictor(copy).head.labels == LABELS


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"settings": {"labels": None}}, "needs its list of labels"),
        ({"settings": {"labels": []}}, "needs its list of labels"),
        ({"settings": {"labels": ["a", 2]}}, "needs its list of labels"),
        ({"settings": {"labels": ["a", "b", "a"]}}, "the label 'a' twice"),
        ({"settings": {}}, 'the settings of the head classification have no "labels"'),
        ({"settings": {"labels": ["a", "b", "c"], "pooling": "mean"}}, 'classification has no setting "pooling"'),
        ({"settings": ...}, 'has no "head" and its "settings"'),
        ({"settings": {"labels": ["a", "b"]}}, r"its logits has the shape \(3,\), but config.json .* with \(2,\)"),
        ({"version": 2}, "format version 2, but this program reads version 3"),
        ({"version": ...}, 'has no "version"'),
        ({"head": "translation"}, "There is no head 'translation'; give one of classification, embedding"),
        ({"head": "embedding", "settings": {"pooling": "last"}}, "\"pooling\" is 'last'"),
        ({"head": "embedding", "settings": {"pooling": "mean"}}, "are not those of the head embedding"),
        ({"vocabulary": 20}, "outside the vocabulary of 20"),
        ({"vocabulary": 2}, '"eos" is token id 2'),
        ({"max_positions": "512"}, "\"max_positions\" is '512', not a whole number"),
        ({"max_positions": 1}, "too few"),
        ({"bos": True}, '"bos" is True'),
        ({"pad": -1}, '"pad" is -1'),
        ({"precision": "int4"}, "\"precision\" is 'int4', not one of fp32, fp16, bf16, int8"),
        ({"files": {}}, "does not list all files"),
        ({"files": dict.fromkeys(FILES, 1)}, 'has no "bytes"'),
        ({"files": dict.fromkeys({*FILES} - {"model.onnx.data"}, NOTHING)}, "does not list all files"),
        ({"files": dict.fromkeys(("../x", *FILES), NOTHING)}, r"\.\./x"),
    ],
)
def test_a_fault_of_the_configuration_is_told(copy, changes, fault):
    rewrite_config(copy, **changes)
    assert_fault(copy, fault)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"version": 3,', "not valid JSON"),
        (b"[1]", "has no"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_a_configuration_that_is_no_json_object_is_told(copy, content, fault):
    (copy / "config.json").write_bytes(content)
    assert_fault(copy, f"config.json: {fault}")


def test_files_of_another_kind_are_told(copy):
    intact = {name: (copy / name).read_bytes() for name in FILES}
    for name, fault in [
        ("model.onnx", "model.onnx: ONNX Runtime cannot load it"),
        ("sentencepiece.model", "sentencepiece.model: not a SentencePiece model"),
        ("piece_ids.npy", "piece_ids.npy: not a NumPy array file"),
    ]:
        rewrite_file(copy, name, b"not what it should be")
        assert_fault(copy, fault)
        rewrite_file(copy, name, intact[name])
    rewrite_file(copy, "piece_ids.npy", b"\x93NUMPY\x01\0\x08\0{'a': ((")  # the header does not end
    assert_fault(copy, "piece_ids.npy: not a NumPy array file")
    np.save(copy / "piece_ids.npy", np.arange(5, dtype=np.int32))
    rewrite_file(copy, "piece_ids.npy", (copy / "piece_ids.npy").read_bytes())
    assert_fault(copy, r"80 pieces, but piece_ids\.npy beside it has 5")
    np.save(copy / "piece_ids.npy", np.zeros(80))
    rewrite_file(copy, "piece_ids.npy", (copy / "piece_ids.npy").read_bytes())
    assert_fault(copy, "piece_ids.npy: the piece ids are float64")


def test_a_directory_that_is_not_there_is_told(tmp_path):
    assert_fault(tmp_path / "nowhere", "no such directory")


def test_a_provider_that_is_not_here_is_told(exports):
    absent = "TensorrtExecutionProvider"
    assert absent not in onnxruntime.get_available_providers()
    with pytest.raises(FocusError, match=rf"no {absent} here; it has .*CPUExecutionProvider"):
        Predictor(exports["mood"][0], provider="tensorrt")


def test_openvino_is_the_cpu_provider_in_all_but_speed(exports):
    """Where onnxruntime-openvino is installed; elsewhere, the message says so."""
    directory, texts = exports["mean"][0], ["timu ya taifa", "habari", "mechi ya leo " * 5]
    if "OpenVINOExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(FocusError, match=r"no OpenVINO.*; install onnxruntime-openvino in place of onnxruntime"):
            Predictor(directory, provider="openvino")
        return
    with pytest.raises(FocusError, match="No GPU: the provider is openvino"):
        Predictor(directory, provider="openvino", require_gpu=True)
    rows = [Predictor(directory, provider=provider).rows(texts) for provider in ("openvino", "cpu")]
    np.testing.assert_allclose(*rows, atol=1e-4)


def test_a_gpu_is_not_done_without_where_it_is_required(exports):
    assert "CUDAExecutionProvider" not in onnxruntime.get_available_providers()
    with pytest.raises(FocusError, match=r'No GPU: ONNX Runtime has only .* here; install the extra "serve-gpu"'):
        Predictor(exports["mood"][0], require_gpu=True)
    with pytest.raises(FocusError, match="No GPU: the provider is cpu"):
        Predictor(exports["mood"][0], provider="cpu", require_gpu=True)


def test_an_int8_model_runs_on_the_cpu_alone(exports, tmp_path):
    write_small_export(tmp_path / "int8", "mean", exports["mean"][0] / "sentencepiece.model", "int8")
    assert Predictor(tmp_path / "int8").model.provider == "CPUExecutionProvider"
    for options in ({"require_gpu": True}, {"provider": "cuda"}, {"provider": "tensorrt"}):
        with pytest.raises(FocusError, match="int8: is an int8 model, which runs only on a CPU"):
            Predictor(tmp_path / "int8", **options)


def test_a_bf16_model_runs_on_a_gpu_alone(exports, tmp_path):
    write_small_export(tmp_path / "bf16", "mean", exports["mean"][0] / "sentencepiece.model", "bf16")
    for options, why in (
        ({}, "ONNX Runtime has only .*CPUExecutionProvider.* here"),
        ({"provider": "cpu"}, "the provider is cpu"),
        ({"require_gpu": True}, "ONNX Runtime has only"),
    ):
        with pytest.raises(FocusError, match=rf"bf16: is a bf16 model; bf16 needs a GPU of .* No GPU: {why}"):
            Predictor(tmp_path / "bf16", **options)


def test_an_argument_that_makes_no_sense_is_told(exports):
    for options, fault in (
        ({"threads": -1}, "threads is -1; it must be at least 1"),
        ({"workers": 0}, "workers is 0"),
        ({"token_budget": -5}, "token_budget is -5"),
        ({"provider": "gpu"}, "no provider 'gpu'; choose auto, cpu, cuda, tensorrt, openvino"),
    ):
        with pytest.raises(FocusError, match=fault):
            Predictor(exports["mean"][0], **options)


@pytest.mark.parametrize(("threads", "workers"), [(None, None), (1, 1), (4, 1), (4, 4), (2, 8)])
def test_threads_workers_and_budget_change_no_result(exports, threads, workers):
    """All give what transformers gives for each text alone."""
    texts = texts_of_mixed_lengths(40, seed=9)
    alone = np.stack([expected(exports, "mean", text) for text in texts])
    assert np.abs(alone - alone[::-1]).max() > 100 * TOLERANCE  # a mix-up of texts would show
    for budget in (16, 512):
        found = Predictor(exports["mean"][0], threads=threads, workers=workers, token_budget=budget).rows(texts)
        assert np.abs(found - alone).max() <= TOLERANCE


def test_a_batch_that_fails_ends_the_run_and_no_other_thread_goes_on(exports):
    """A text that is too long for the position table fails in the runtime, since the tokenizer lets it through."""
    predictor = Predictor(exports["mean"][0], workers=3, token_budget=4)
    predictor.model.tokenizer.max_positions = 1000
    before = set(threading.enumerate())
    with pytest.raises(FocusError, match="ONNX Runtime failed on a batch of 1 x"):
        predictor.rows(["ka"] * 50 + ["ka " * 100] + ["ka"] * 50)
    deadline = time.monotonic() + 20
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


def test_what_is_no_text_is_told(embedder):
    with pytest.raises(FocusError, match="Text 2: is a NoneType, not text"):
        list(embedder.predict(["ka", None]))
    with pytest.raises(FocusError, match="Text 2: is not valid Unicode"):
        list(embedder.predict(["ka", "ka\ud800"]))


def test_a_text_in_the_place_of_texts_is_told(embedder):
    for text in ("kata", b"kata", None):
        with pytest.raises(FocusError, match="put it in a list"):
            embedder.rows(text)
        with pytest.raises(FocusError, match="put it in a list"):
            list(embedder.predict(text))


def test_a_table_in_the_place_of_texts_is_told(embedder):
    """It would be taken for the names of its columns."""
    for table in ({"text": ["ka"]}, pandas.DataFrame({"text": ["ka"]})):
        with pytest.raises(FocusError, match=r"a table was given; call the predictor: predictor\(table\)"):
            list(embedder.predict(table))


def test_serving_imports_no_training_library(exports):
    program = (
        "import sys\n"
        "from focus_export.runtime import Predictor\n"
        f"result = list(Predictor({str(exports['mood'][0])!r}).predict(['kata', '']))\n"
        "assert len(result) == 2\n"
        "print([name for name in ('torch', 'fairseq', 'transformers', 'onnx') if name in sys.modules])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert (run.returncode, run.stdout) == (0, "[]\n"), run.stderr


def test_the_session_has_the_names_that_the_configuration_tells(exports):
    values = json.loads((exports["first"][0] / "config.json").read_text())
    session = onnxruntime.InferenceSession(str(exports["first"][0] / "model.onnx"))
    assert [model_input.name for model_input in session.get_inputs()] == values["inputs"]
    assert [output.name for output in session.get_outputs()] == values["outputs"]
