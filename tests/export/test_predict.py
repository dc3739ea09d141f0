"""Predictions of files: the formats, going on after every kind of end, and the faults of texts."""

import bz2
import gzip
import json
import lzma
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from backports import zstd
from commands import heed_interrupts
from export_models import LABELS, random_words, texts_of_mixed_lengths, write_small_export
from focus_export.formats import make_format
from focus_export.heads.embedding import EmbeddingHead
from focus_export.predict_file import predict_file
from focus_export.runtime import Predictor
from focus_export.text_input import TextInput
from invoked import refuse, run

from focus_plugin.errors import FocusError

NAMES = ("out.jsonl", "out.jsonl.gz", "out.txt", "out.txt.gz", "out.npy", "out.parquet")


@pytest.fixture(scope="module")
def classifier(exports):
    """One that runs a few texts at a time."""
    return Predictor(exports["mood"][0], token_budget=16)


@pytest.fixture(scope="module")
def embedder(exports):
    return Predictor(exports["mean"][0], token_budget=16)


def write_lines(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def unpacked(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def labels_and_scores(path):
    """The labels (None where the format has none) and scores (None likewise) in a file of classifications."""
    kind = path.name.removeprefix("out.").removesuffix(".gz")
    if kind == "jsonl":
        lines = [json.loads(line) for line in unpacked(path).splitlines()]
        assert [line["line"] for line in lines] == list(range(1, len(lines) + 1))
        assert all(tuple(line["scores"]) == LABELS for line in lines)
        return [line["label"] for line in lines], [list(line["scores"].values()) for line in lines]
    if kind == "txt":
        return unpacked(path).decode().splitlines(), None
    if kind == "npy":
        return None, np.load(path)
    table = pyarrow.parquet.read_table(path)
    assert json.loads(table.schema.metadata[b"labels"]) == list(LABELS)
    return table["label"].to_pylist(), table["scores"].to_pylist()


@pytest.mark.parametrize("name", NAMES)
def test_every_format_holds_the_predictions(tmp_path, classifier, name):
    texts = texts_of_mixed_lengths(150, seed=2)
    source = write_lines(tmp_path / "texts.txt", texts)
    told = {}

    @contextmanager
    def phase(label, size):
        told[label, size] = []
        yield lambda *amounts: told[label, size].append(amounts)

    output = tmp_path / "new" / name
    assert predict_file(classifier, source, output, phase=phase) == len(texts)
    predicting = told.pop(("Predicting on CPU", source.stat().st_size))
    assert np.sum(predicting, axis=0).tolist() == [len(texts), source.stat().st_size]
    assert len(predicting) > 20, "a batch at a time"
    for (_, size), amounts in told.items():
        assert np.sum(amounts, axis=0).tolist() == [0, size]
    assert names(output.parent) == [name]
    want = list(classifier.predict(texts))
    labels, scores = labels_and_scores(output)
    if labels is not None:
        assert labels == [prediction.label for prediction in want]
    if scores is not None:
        np.testing.assert_allclose(scores, [list(prediction.scores.values()) for prediction in want], rtol=1e-6)


@pytest.mark.parametrize("name", ["out.jsonl", "out.npy", "out.parquet"])
def test_embeddings_are_written_as_they_are(tmp_path, embedder, name):
    texts = texts_of_mixed_lengths(60, seed=3)
    predict_file(embedder, write_lines(tmp_path / "texts.txt", texts), tmp_path / name)
    if name == "out.jsonl":
        found = [json.loads(line)["embedding"] for line in (tmp_path / name).read_text().splitlines()]
    elif name == "out.npy":
        found = np.load(tmp_path / name)
        assert found.dtype == np.float32
    else:
        found = pyarrow.parquet.read_table(tmp_path / name)["embedding"].to_pylist()
    assert np.array_equal(np.array(found, np.float32), embedder.rows(texts))


@pytest.mark.parametrize("name", NAMES)
def test_no_text_gives_no_prediction(tmp_path, classifier, name):
    assert predict_file(classifier, write_lines(tmp_path / "texts", []), tmp_path / name) == 0
    labels, scores = labels_and_scores(tmp_path / name)
    assert len(labels if scores is None else scores) == 0
    assert names(tmp_path) == [name, "texts"]


def test_an_array_file_can_grow_to_any_length():
    for size in (3, 768):
        start = make_format("npy", False, EmbeddingHead(), size).start
        header = start.replace(b"(0,", b"(%d," % 10**20)
        assert len(header) - len(start) < start.count(b" "), "there is room for the longer number"
        assert len(start) % 64 == 0


def interrupted(predictor, source, output, after):
    """Interrupt a run after so many texts of its own; the bytes of the input that it found done."""
    told = []

    def progress(texts, size):
        told.append((texts, size))
        if sum(texts for texts, _ in told) > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_file(predictor, source, output, phase=lambda label, size: nullcontext(progress))
    assert not output.exists()
    return told[0][1]


@pytest.mark.parametrize("name", NAMES)
def test_interrupted_anywhere_it_goes_on_to_the_same_bytes(tmp_path, classifier, name):
    source = write_lines(tmp_path / "texts.txt", texts_of_mixed_lengths(400, seed=4))
    predict_file(classifier, source, tmp_path / "whole" / name)
    found = [interrupted(classifier, source, tmp_path / name, after) for after in (0, 90, 0, 130, 70)]
    assert found[0] == found[1] == 0
    assert 0 < found[2] == found[3] < found[4] < source.stat().st_size
    with open(tmp_path / f"{name}.unfinished", "ab") as grown:
        grown.write(b"of a window that does not count yet" * 10_000)
    assert predict_file(classifier, source, tmp_path / name) == 400
    assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert names(tmp_path) == [name, "texts.txt", "whole"]


def test_results_that_depend_on_their_batch_are_those_of_the_same_batches(tmp_path, exports):
    """int8 takes its scales from a batch, so other batches would show."""
    write_small_export(tmp_path / "int8", "mean", exports["mean"][0] / "sentencepiece.model", "int8")
    source = write_lines(tmp_path / "texts.txt", texts_of_mixed_lengths(400, seed=4))
    for name, budget in (("whole.npy", 16), ("other.npy", 64)):
        predict_file(Predictor(tmp_path / "int8", token_budget=budget), source, tmp_path / name)
    assert not np.array_equal(np.load(tmp_path / "whole.npy"), np.load(tmp_path / "other.npy"))
    predictor = Predictor(tmp_path / "int8", token_budget=16)
    for after in (100, 80):
        interrupted(predictor, source, tmp_path / "out.npy", after)
    predict_file(predictor, source, tmp_path / "out.npy")
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_an_unfinished_run_is_of_its_input_model_and_options(tmp_path, exports, classifier, embedder):
    texts = texts_of_mixed_lengths(300, seed=5)
    source, output = write_lines(tmp_path / "texts.txt", texts), tmp_path / "out.jsonl"
    interrupted(classifier, source, output, 200)
    left = (tmp_path / "out.jsonl.unfinished").read_bytes()
    other = write_lines(tmp_path / "other.txt", ["kata", *texts[1:]])
    with pytest.raises(FocusError, match=r"other\.txt: its first \d+ lines are not those .* remove .*unfinished\.json"):
        predict_file(classifier, other, output)
    for predictor, form in ((embedder, None), (classifier, "txt"), (Predictor(exports["mood"][0]), None)):
        with pytest.raises(FocusError, match="is from an unfinished run with another model or other options"):
            predict_file(predictor, source, output, form)
    assert (tmp_path / "out.jsonl.unfinished").read_bytes() == left
    # the same texts under another name, compressed, and with more to come
    (tmp_path / "more.gz").write_bytes(gzip.compress("".join(f"{text}\n" for text in [*texts, "ka"]).encode()))
    assert predict_file(classifier, tmp_path / "more.gz", output) == 301


def test_a_damaged_unfinished_run_is_told(tmp_path, classifier):
    source, output = write_lines(tmp_path / "texts.txt", texts_of_mixed_lengths(300, seed=5)), tmp_path / "out.jsonl"
    grown, state = tmp_path / "out.jsonl.unfinished", tmp_path / "out.jsonl.unfinished.json"
    interrupted(classifier, source, output, 200)
    os.truncate(grown, grown.stat().st_size - 1)
    with pytest.raises(FocusError, match="is shorter than it was; remove it and"):
        predict_file(classifier, source, output)
    for content in ('{"job": 1}', "[" * 100_000):
        state.write_text(content)
        with pytest.raises(FocusError, match=r"unfinished\.json: damaged"):
            predict_file(classifier, source, output)
    state.unlink()
    with pytest.raises(FocusError, match="was not written by this program"):
        predict_file(classifier, source, output)
    grown.unlink()
    assert predict_file(classifier, source, output) == 300


def test_a_bad_line_can_be_mended_and_a_long_one_truncated(tmp_path, exports, classifier):
    texts = texts_of_mixed_lengths(300, seed=6)
    long = " ".join(random_words(30, seed=5))
    source, output = tmp_path / "texts.txt", tmp_path / "out.jsonl"
    source.write_bytes("".join(f"{text}\n" for text in [*texts[:200], long, *texts[200:]]).encode() + b"\xff\n")
    with pytest.raises(FocusError, match=r"texts\.txt, line 201: \d+ tokens"):
        predict_file(classifier, source, output)
    truncating = Predictor(exports["mood"][0], token_budget=16, truncate=True)
    with pytest.raises(FocusError, match=r"texts\.txt, line 302: not valid UTF-8"):
        predict_file(truncating, source, output)
    with pytest.raises(FocusError, match="another model or other options"):
        predict_file(classifier, source, output)
    write_lines(source, [*texts[:200], long, *texts[200:], "ka"])
    assert predict_file(truncating, source, output) == 302
    predict_file(truncating, source, tmp_path / "whole.jsonl")
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_fault_before_anything_is_done_leaves_nothing(tmp_path, classifier, embedder):
    source = write_lines(tmp_path / "texts.txt", ["ka", " ".join(random_words(30, seed=5))])
    with pytest.raises(FocusError, match=r"texts\.txt, line 2: \d+ tokens"):
        predict_file(classifier, source, tmp_path / "out.npy")
    for predictor, name, fault in (
        (embedder, "out.txt", "txt is not a format of this model. The formats for embedding are jsonl, npy, parquet"),
        (classifier, "out.npy.gz", "npy cannot be compressed"),
        (
            classifier,
            "out.csv",
            "out.csv: csv is not .* classification are jsonl, txt, npy, parquet; give one of them as --format",
        ),
        (classifier, "texts.txt", "already exists"),
    ):
        with pytest.raises(FocusError, match=fault):
            predict_file(predictor, source, tmp_path / name)
    assert names(tmp_path) == ["texts.txt"]


def test_a_damaged_gzip_file_is_told(tmp_path, classifier):
    whole = gzip.compress("".join(f"{text}\n" for text in texts_of_mixed_lengths(100)).encode())
    for name, content in (("cut", whole[:-20]), ("changed", whole[:-8] + b"1234" + whole[-4:])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FocusError, match=rf"{name}, line \d+: the gzip file is damaged or truncated"):
            predict_file(classifier, tmp_path / name, tmp_path / "out.jsonl")


def test_a_line_is_what_ends_with_a_newline(tmp_path, exports):
    """Whatever else stands in it; and each has its prediction, in its place."""
    predictor = Predictor(exports["mean"][0], truncate=True)
    lines = ["ka", "", "ta\0mu", "\0", "   ", "sa\rki", "na\u2028mi", "ka\x0bta\x0cmu\x85sa", "ki" * 500_000, "mu"]
    content = "\ufeff" + lines[0] + "\r\n" + "\n".join(lines[1:])
    (tmp_path / "texts.txt").write_bytes(content.encode())
    assert predict_file(predictor, tmp_path / "texts.txt", tmp_path / "out.npy") == len(lines)
    alone = np.concatenate([predictor.rows([line]) for line in lines])
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), alone, atol=1e-5)


PROGRAM = str(Path(sys.executable).parent / "focus")


def done_texts(output):
    """How far an unfinished run says it is."""
    state = output.with_name(f"{output.name}.unfinished.json")
    return json.loads(state.read_text())["done"]["texts"] if state.exists() else 0


def test_killed_again_and_again_no_line_is_lost_or_repeated(tmp_path, exports):
    source = write_lines(tmp_path / "texts.txt", texts_of_mixed_lengths(400) * 30)
    command = ("predict", "--model", exports["mood"][0], "--input", source, "--threads", 1, "--token-budget", 32)
    run("focus", *command, "--output", tmp_path / "whole.jsonl")
    output = tmp_path / "out.jsonl"
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        before = done_texts(output)
        words = [PROGRAM, *map(str, command), "--output", str(output)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(words, preexec_fn=heed_interrupts, **pipes) as process:
            deadline = time.monotonic() + 60
            while done_texts(output) <= before and time.monotonic() < deadline:
                time.sleep(0.001)
            process.send_signal(number)
            _, told = process.communicate()
        assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 1, signal.SIGTERM: 143}[number], told
        assert before < done_texts(output) < 12_000
        assert not output.exists()
        assert number == signal.SIGKILL or "the same command continues from there" in told
        assert "Traceback" not in told
    run("focus", *command, "--output", output)
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert names(tmp_path) == ["out.jsonl", "texts.txt", "whole.jsonl"]


# Kills itself at a moment of a run: arguments are the moment, the model, the input and the output.
DYING = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet
from focus_export.predict_file import predict_file
from focus_export.runtime import Predictor

moment, model, source, output = sys.argv[1:]
replace, write_table, states = Path.replace, pyarrow.parquet.ParquetWriter.write_table, []

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying_replace(path, target):
    states.append(str(target).endswith(".unfinished.json"))
    if moment == "before a state" and sum(states) == 4:
        die()
    result = replace(path, target)
    if moment == "after the output" and str(target) == output:
        die()
    return result

def dying_write(writer, table):
    write_table(writer, table)
    die()

Path.replace = dying_replace
if moment == "in Parquet":
    pyarrow.parquet.ParquetWriter.write_table = dying_write
predict_file(Predictor(model, token_budget=16), source, output)
"""


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("before a state", "out.jsonl"),
        ("after the output", "out.jsonl"),
        ("in Parquet", "out.parquet"),
        ("after the output", "out.parquet"),
    ],
)
def test_a_kill_at_any_moment_leaves_nothing_for_good(tmp_path, exports, classifier, moment, name):
    source, output = write_lines(tmp_path / "texts.txt", texts_of_mixed_lengths(300)), tmp_path / name
    predict_file(classifier, source, tmp_path / "whole" / name)
    words = [sys.executable, "-c", DYING, moment, exports["mood"][0], source, output]
    died = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert names(tmp_path) != sorted(["texts.txt", "whole", *([name] if output.exists() else [])]), "something is left"
    if output.exists():
        with pytest.raises(FocusError, match="already exists"):
            predict_file(classifier, source, output)
    else:
        assert predict_file(classifier, source, output) == 300
    assert output.read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert names(tmp_path) == sorted([name, "texts.txt", "whole"])


def test_another_file_in_the_place_of_the_output_loses_no_work(tmp_path, classifier):
    source, output = write_lines(tmp_path / "texts.txt", texts_of_mixed_lengths(300)), tmp_path / "out.jsonl"
    interrupted(classifier, source, output, 200)
    left = names(tmp_path)
    output.write_text("of somebody else")
    with pytest.raises(FocusError, match="already exists"):
        predict_file(classifier, source, output)
    output.unlink()
    assert names(tmp_path) == left


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(tmp_path, exports):
    source = write_lines(tmp_path / "texts.txt", texts_of_mixed_lengths(800))
    command = ("predict", "--model", exports["mood"][0], "--input", source, "--token-budget", 32, "--output")
    run("focus", *command, tmp_path / "whole.jsonl")
    output, size = tmp_path / "out.jsonl", (tmp_path / "whole.jsonl").stat().st_size
    full = subprocess.run(
        [PROGRAM, *map(str, command), str(output)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size * 2 // 3, size * 2 // 3)),
        capture_output=True,
        text=True,
    )
    assert full.returncode == 1
    assert "out.jsonl.unfinished: cannot be written (File too large)" in full.stderr
    assert "Traceback" not in full.stderr
    assert 300 < done_texts(output) < 600
    run("focus", *command, output)
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_texts_may_come_through_a_pipe(tmp_path, exports):
    texts = "".join(f"{text}\n" for text in texts_of_mixed_lengths(50, seed=8)).encode()
    (tmp_path / "texts.txt").write_bytes(texts)
    predict = [PROGRAM, "predict", "--model", str(exports["mood"][0])]
    run("focus", *predict[1:], "--input", tmp_path / "texts.txt", "--output", tmp_path / "out.txt")
    for content in (texts, gzip.compress(texts)):
        words = [*predict, "--input", "/dev/stdin", "--output", "-", "--format", "txt"]
        done = subprocess.run(words, input=content, capture_output=True, check=True)
        assert done.stdout == (tmp_path / "out.txt").read_bytes()
    refuse("focus", *predict[1:], "--input", tmp_path, "--output", "-", says="is a directory; name the files in it")


@pytest.mark.parametrize("packed", [bytes, gzip.compress, lzma.compress, zstd.compress, bz2.compress])
def test_a_slow_pipe_is_read_for_what_it_is(packed):
    """A byte at a time, so that it has given one when its kind is to be decided; BZ may begin a text, too."""
    content, (end, other) = packed(b"BZka\nta\n"), os.pipe()

    def write():
        for i in range(len(content)):
            os.write(other, content[i : i + 1])
            time.sleep(0.001)
        os.close(other)

    writing = threading.Thread(target=write)
    writing.start()
    assert list(TextInput([Path(f"/dev/fd/{end}")])) == ["BZka", "ta"]
    writing.join()
    os.close(end)


def test_several_files_are_one_input(tmp_path, classifier):
    """Compressed or not, by name or pattern; a run goes on when they are put together into one."""
    texts = [text or "ka" for text in texts_of_mixed_lengths(300, seed=5)]
    (tmp_path / "b").mkdir()
    write_lines(tmp_path / "b" / "1.txt", texts[:100])
    (tmp_path / "b" / "2.txt").write_bytes(zstd.compress("\n".join(texts[100:250]).encode()))
    (tmp_path / "a.xz").write_bytes(lzma.compress("\n".join(texts[250:]).encode()))
    whole = write_lines(tmp_path / "whole.txt", texts)
    predict_file(classifier, whole, tmp_path / "whole.jsonl")
    parts = [tmp_path / "b" / "*.txt", tmp_path / "a.xz"]
    assert predict_file(classifier, parts, tmp_path / "parts.jsonl") == 300
    assert (tmp_path / "parts.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    interrupted(classifier, parts, tmp_path / "out.jsonl", 200)
    interrupted(classifier, whole, tmp_path / "out.jsonl", 50)
    predict_file(classifier, parts, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_faults_in_several_files_are_told_with_file_and_line(tmp_path, classifier):
    long = " ".join(random_words(30, seed=5))
    first = write_lines(tmp_path / "1.txt", ["ka"] * 3)
    (tmp_path / "bytes.txt").write_bytes(b"ka\nb\xff\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"ka\n" * 9)[:-3])
    for second, message in (
        (write_lines(tmp_path / "2.txt", ["ka", long]), r"2\.txt, line 2: \d+ tokens"),
        (tmp_path / "bytes.txt", r"bytes\.txt, line 2: not valid UTF-8"),
        (tmp_path / "cut.gz", r"cut\.gz, line \d+: the gzip file is damaged or truncated"),
        (first, r"1\.txt: is named twice"),
    ):
        with pytest.raises(FocusError, match=message):
            predict_file(classifier, [first, second], tmp_path / "out.jsonl")


@pytest.mark.parametrize(("closed", "says"), [("<&-", "Standard input"), (">&-", "Standard output")])
def test_a_closed_stream_is_told(exports, closed, says):
    command = f"{PROGRAM} predict --model {exports['mood'][0]} --input - --output - {closed}"
    done = subprocess.run(["bash", "-c", command], input="", capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Error: {says} is closed; give a file." in done.stderr
    assert "Traceback" not in done.stderr


def test_two_runs_do_not_write_one_file(tmp_path, exports):
    """The first waits for its second line."""
    predict = ("predict", "--model", exports["mood"][0], "--input", "-", "--output", tmp_path / "out.txt")
    with subprocess.Popen([PROGRAM, *map(str, predict)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as first:
        first.stdin.write(b"ka\n")
        first.stdin.flush()
        deadline = time.monotonic() + 60
        while not (tmp_path / "out.txt.unfinished").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        refuse("focus", *predict, says="another run is writing it")
        first.communicate(b"ta\n")
    assert first.returncode == 0
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 2


def test_standard_input_and_output_take_the_place_of_files(tmp_path, exports):
    texts = texts_of_mixed_lengths(50, seed=8)
    source = write_lines(tmp_path / "texts.txt", texts)
    base = ("predict", "--model", exports["mood"][0])
    run("focus", *base, "--input", source, "--output", tmp_path / "out.txt")
    words = [PROGRAM, *map(str, base), "--input", "-", "--output", "-"]
    for content in (source.read_bytes(), gzip.compress(source.read_bytes())):
        done = subprocess.run([*words, "--format", "txt"], input=content, capture_output=True, check=True)
        assert done.stdout == (tmp_path / "out.txt").read_bytes()
        assert b"50 predictions" in done.stderr
    quiet = subprocess.run([*words, "--quiet"], input=b"ka\n", capture_output=True, check=True)
    assert quiet.stderr == b""
    assert json.loads(quiet.stdout)["label"] in LABELS
    refuse(
        "focus", *base, "--input", source, "--output", "-", "--format", "npy", says="to standard output; give a file"
    )
    refuse("focus", *base, "--input", tmp_path / "no.txt", "--output", "-", says="no.txt: no such file")
    refuse("focus", *base, "--input", source, "--output", tmp_path / "o", "--require-gpu", says="No GPU")
    assert names(tmp_path) == ["out.txt", "texts.txt"]
