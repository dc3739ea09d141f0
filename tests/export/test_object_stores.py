"""Predictions from and to object stores: fsspec's store in memory, and its view of this machine's files."""

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pytest
from export_models import texts_of_mixed_lengths
from focus_export.growing_file import unfinished_path
from focus_export.predict_file import output_of, predict_file
from focus_export.runtime import Predictor
from focus_export.stored_files import StoredOutput
from invoked import refuse, run

from focus_plugin.errors import FocusError

PROGRAM = str(Path(sys.executable).parent / "focus")
TEXTS = texts_of_mixed_lengths(200, seed=5)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache directory, where unfinished results are."""
    monkeypatch.setenv("FOCUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "predictions"


@pytest.fixture
def memory():
    store = fsspec.filesystem("memory")
    yield store
    store.rm("/", recursive=True)


@pytest.fixture(scope="module")
def classifier(exports):
    return Predictor(exports["mood"][0], token_budget=64)


@pytest.fixture
def local(tmp_path, classifier):
    """The predictions of TEXTS in a local file."""
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    predict_file(classifier, tmp_path / "texts.txt", tmp_path / "local.jsonl")
    return (tmp_path / "local.jsonl").read_bytes()


def test_files_of_a_store_are_read_and_written_as_local_ones(memory, cache, classifier, local):
    lines = [f"{text}\n".encode() for text in TEXTS]
    memory.pipe("/in/a.txt", b"".join(lines[:70]))
    memory.pipe("/in/b.txt.gz", gzip.compress(b"".join(lines[70:])))
    memory.pipe("/in/other", b"not of this text\n")
    phases = []

    class Shown:
        def __init__(self, label, size):
            phases.append(size)

        def __enter__(self):
            return lambda texts, done: phases.append(done)

        def __exit__(self, *_):
            pass

    assert predict_file(classifier, "memory://in/*.txt*", "memory://out/new/o.jsonl", phase=Shown) == len(TEXTS)
    assert memory.cat("/out/new/o.jsonl") == local
    assert memory.ls("/out/new", detail=False) == ["/out/new/o.jsonl"]
    assert list(cache.iterdir()) == []
    size, *done = phases
    assert size == sum(memory.size(f"/in/{name}") for name in ("a.txt", "b.txt.gz")) == sum(done)
    with pytest.raises(FocusError, match=r"memory://out/new/o\.jsonl: already exists"):
        predict_file(classifier, "memory://in/a.txt", "memory://out/new/o.jsonl")
    assert memory.cat("/out/new/o.jsonl") == local


def test_stored_and_local_files_are_one_text(memory, tmp_path, classifier, local):
    (tmp_path / "a.txt").write_text("".join(f"{text}\n" for text in TEXTS[:30]), encoding="utf-8")
    memory.pipe("/b.txt", "".join(f"{text}\n" for text in TEXTS[30:]).encode())
    predict_file(classifier, [tmp_path / "a.txt", "memory://b.txt"], tmp_path / "o.jsonl")
    assert (tmp_path / "o.jsonl").read_bytes() == local
    with pytest.raises(FocusError, match=r"memory://b\.txt: is named twice"):
        predict_file(classifier, ["memory://b.txt", "memory://b.txt"], tmp_path / "p.jsonl")
    memory.pipe("/bad.txt", b"ka\n\xff\n")
    with pytest.raises(FocusError, match=r"memory://bad\.txt, line 2: "):
        predict_file(classifier, "memory://bad.txt", tmp_path / "p.jsonl")


def test_parquet_is_moved_whole(memory, cache, classifier, tmp_path, local):
    predict_file(classifier, tmp_path / "texts.txt", tmp_path / "local.parquet")
    predict_file(classifier, tmp_path / "texts.txt", "memory://o.parquet")
    assert memory.cat("/o.parquet") == (tmp_path / "local.parquet").read_bytes()
    assert list(cache.iterdir()) == []


def test_a_store_that_cannot_be_written_loses_no_work(cache, classifier, tmp_path, local, monkeypatch):
    """The bucket is a file, so nothing can be put into it until it is removed."""
    blocked = tmp_path / "bucket"
    blocked.write_text("")
    address = f"file://{blocked}/o.jsonl"
    with pytest.raises(FocusError, match=r"bucket/o\.jsonl: cannot be written \("):
        predict_file(classifier, tmp_path / "texts.txt", address)
    assert unfinished_path(StoredOutput(address)).exists()
    blocked.unlink()
    predict_file(classifier, tmp_path / "texts.txt", address)
    assert (blocked / "o.jsonl").read_bytes() == local
    assert list(cache.iterdir()) == []


def test_a_killed_command_goes_on(cache, exports, tmp_path, local):
    many = tmp_path / "many.txt"
    many.write_bytes((tmp_path / "texts.txt").read_bytes() * 40)
    given = ("--model", exports["mood"][0], "--token-budget", 64, "--input", f"file://{many}", "--output")
    whole, killed = tmp_path / "whole.jsonl", f"file://{tmp_path}/killed.jsonl"
    run("focus", "predict", *given, whole)
    process = subprocess.Popen([PROGRAM, "predict", *map(str, given), killed], stderr=subprocess.DEVNULL)
    grown = unfinished_path(output_of(killed))
    while process.poll() is None and not (grown.exists() and grown.stat().st_size):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed.jsonl").exists()
    run("focus", "predict", *given, killed)
    assert (tmp_path / "killed.jsonl").read_bytes() == whole.read_bytes()
    assert list(cache.iterdir()) == []


def test_a_dry_run_reads_a_store(memory, exports):
    memory.pipe("/in.txt", "".join(f"{text}\n" for text in TEXTS).encode())
    given = ("--model", exports["mood"][0], "--input", "memory://in.txt", "--output", "memory://o.jsonl")
    assert f"about {len(TEXTS)} texts" in run("focus", "predict", *given, "--dry-run").stdout
    assert not memory.exists("/o.jsonl")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("memory://none.txt", "memory://none.txt: no such file"),
        ("memory://none/*.txt", "memory://none/*.txt: no file matches this pattern"),
        ("unknown://a.txt", "unknown://a.txt: cannot be read (ValueError: Protocol not known"),
    ],
)
def test_what_cannot_be_read_is_told(exports, tmp_path, address, sentence):
    given = ("predict", "--model", exports["mood"][0], "--input", address, "--output", tmp_path / "o.jsonl")
    refuse("focus", *given, says=sentence)
    assert not (tmp_path / "o.jsonl").exists()


def test_fsspec_is_needed_for_stores_only(exports, tmp_path):
    program = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from focus_export.predict_file import predict_file\n"
        "from focus_export.runtime import Predictor\n"
        f"predictor = Predictor({str(exports['mood'][0])!r})\n"
        "predict_file(predictor, sys.argv[1], sys.argv[2])\n"
    )
    (tmp_path / "a.txt").write_text("ka\n")
    command = [sys.executable, "-c", program, str(tmp_path / "a.txt"), str(tmp_path / "o.jsonl")]
    assert subprocess.run(command).returncode == 0
    command[-2] = "memory://a.txt"
    failed = subprocess.run(command, capture_output=True, text=True)
    assert 'memory://a.txt: needs the package fsspec; pip install "focus-fairseq[stores]".' in failed.stderr
