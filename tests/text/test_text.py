"""Text from one or several files: compressed in every format, odd at its ends, damaged, named by patterns."""

import bz2
import gzip
import hashlib
import lzma
import os
import random
import subprocess
import sys
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_plugin.decompression import CHUNK
from focus_plugin.errors import FocusError
from focus_plugin.text import LONGEST_LINE, Content, Text

PACKERS = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstd.compress, "bz2": bz2.compress}
NAMES = {"gz": "gzip", "xz": "xz", "zst": "zstd", "bz2": "bzip2"}
formats = pytest.mark.parametrize("form", PACKERS)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def random_text(lines: int, seed: int) -> bytes:
    draw = random.Random(seed)
    return b"".join(b"%x\n" % draw.getrandbits(draw.randint(1, 400)) for _ in range(lines))


@formats
def test_what_is_compressed_is_told_by_its_content(tmp_path, form):
    content = random_text(30_000, seed=1)
    packed = write(tmp_path / "no_suffix", PACKERS[form](content))
    assert len(packed.read_bytes()) > 2 * CHUNK, "read in several chunks"
    read = []
    text = Text.of(packed)
    assert list(text.lines(read.append)) == content.decode().split("\n")[:-1]
    assert sum(read) == text.bytes == packed.stat().st_size


@formats
def test_streams_one_after_the_other_are_one_text(tmp_path, form):
    pack = PACKERS[form]
    parts = [b"one\ntw", b"", b"o\nthree"]
    packed = write(tmp_path / "t", b"".join(map(pack, parts)) + b"\0" * 512)
    assert list(Text.of(packed).lines()) == ["one", "two", "three"]


def test_frames_without_data_are_passed_over(tmp_path):
    """As pzstd writes them, at the beginning too."""
    skipped = b"\x50*M\x18" + (4).to_bytes(4, "little") + b"abcd"
    packed = write(tmp_path / "t", skipped + zstd.compress(b"one\n") + skipped + zstd.compress(b"two\n"))
    assert list(Text.of(packed).lines()) == ["one", "two"]


@formats
def test_truncated_and_damaged_files_are_told_with_their_line(tmp_path, form):
    content = random_text(5000, seed=2)
    pack = PACKERS[form]
    whole = pack(content)
    middle = len(whole) // 2
    damaged = {
        "cut": whole[:middle],
        "cut-at-the-end": whole[:-1],
        "changed": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
        "more": whole + b"and something else behind it",
        "second": whole + whole[: middle // 2],
    }
    for name, data in damaged.items():
        if (form, name) == ("zst", "changed"):
            continue  # no checksum unless asked for
        text = Text.of(write(tmp_path / name, data))
        with pytest.raises(FocusError, match=rf"{name}, line \d+: the {NAMES[form]} file is damaged or truncated \("):
            list(text.lines())
        with pytest.raises(FocusError, match=rf"{name}: the {NAMES[form]} file is damaged or truncated \("):
            text.content()


@formats
def test_a_file_that_grows_enormously_is_read_in_little_memory(tmp_path, form):
    """A thousandth of its size, or far less."""
    line = b"a" * 999 + b"\n"
    packed = write(tmp_path / "t", PACKERS[form](line * 50_000))
    tracemalloc.start()
    assert sum(1 for _ in Text.of(packed).lines()) == 50_000
    assert tracemalloc.get_traced_memory()[1] < 15 << 20, "xz itself takes 8 MiB"
    tracemalloc.stop()


def test_zstd_without_its_package_is_told(tmp_path):
    write(tmp_path / "t.zst", zstd.compress(b"one\n"))
    program = (
        "import sys; sys.modules['backports'] = sys.modules['compression'] = None\n"
        "from focus_plugin.text import Text; list(Text.of('t.zst').lines())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert 'FocusError: t.zst, line 1: reading zstd needs the package backports.zstd; pip install "focus' in done.stderr


ENDS = ["one\ntwo\n", "one\ntwo", "one\r\ntwo\r\n", "\ufeffone\r\ntwo", "\ufeffone\ntwo\n"]


@pytest.mark.parametrize("content", ENDS)
def test_lines_are_the_same_whatever_ends_them(tmp_path, content):
    for pack in (bytes, *PACKERS.values()):
        file = write(tmp_path / "t", pack(content.encode()))
        other = write(tmp_path / "other", content.encode())
        assert list(Text.of(file, other).lines()) == ["one", "two"] * 2


def test_an_empty_file_is_a_text_without_lines(tmp_path):
    for pack in (bytes, *PACKERS.values()):
        text = Text.of(write(tmp_path / "t", pack(b"")))
        assert list(text.lines()) == []
        assert text.content() == Content(hashlib.sha256().hexdigest(), 0)


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8), st.data())
def test_lines_and_content_are_those_of_the_whole(tmp_path_factory, lines, data):
    """However the lines are divided into files, and however each file is compressed."""
    directory = tmp_path_factory.mktemp("parts")
    content = "".join(f"{line}\n" for line in lines).encode()
    whole = content.split(b"\n")[:-1]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    files = []
    for i, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(whole)], strict=True)):
        pack = data.draw(st.sampled_from([bytes, *PACKERS.values()]))
        part = b"".join(line + b"\n" for line in whole[start:end])
        if end > start and whole[end - 1] and data.draw(st.booleans()):
            part = part[:-1]
        files.append(write(directory / str(i), pack(part)))
    text = Text.of(*files)
    assert text.content() == Content(hashlib.sha256(content).hexdigest(), len(content))
    told: list[int] = []
    assert Text.of(*(file.path for file in text.files)).content(told.append) == text.content()
    assert told == [], "it is known already"
    want = [line.decode().rstrip("\r") for line in whole]
    assert [line.lstrip("\ufeff") for line in text.lines()] == [line.lstrip("\ufeff") for line in want]


def test_patterns_stand_for_the_files_they_match(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.txt", "b/1.txt", "a.txt", "c.txt.gz", "d.tsv", "b.txt/inside.txt", "odd[1].txt"):
        write(Path(name), name.encode())
    assert list(Text.of("*.txt").lines()) == ["a.txt", "odd[1].txt"], "a directory that matches is passed over"
    assert list(Text.of("b/*.txt", "a.txt").lines()) == ["b/1.txt", "b/2.txt", "a.txt"], "in the order given"
    assert list(Text.of("**/*.txt").lines()) == ["a.txt", "b/1.txt", "b/2.txt", "b.txt/inside.txt", "odd[1].txt"]
    assert list(Text.of("odd[1].txt").lines()) == ["odd[1].txt"], "a file of that name"
    assert str(Text.of("a.txt", "b/1.txt", "b/2.txt")) == "a.txt and 2 more files"
    for names, message in (
        (["*.csv"], r"^\*\.csv: no file matches this pattern"),
        (["a.txt", "*.txt"], r"^a\.txt: is named twice"),
        (["./a.txt", "a.txt"], r"^a\.txt: is named twice"),
        (["b"], r"^b: is a directory; name the files in it, for example as 'b/\*\.txt'"),
        (["absent.txt"], r"^absent\.txt: no such file"),
        (["-"], r"^Standard input can be read only once, .* write it to a file first"),
        ([], "name at least one file"),
    ):
        with pytest.raises(FocusError, match=message):
            Text.of(*names)


def test_what_is_no_text_is_told(tmp_path):
    def refused(message):
        with pytest.raises(FocusError, match=message):
            list(Text.of(tmp_path / "good", tmp_path / "t").lines())

    write(tmp_path / "good", b"good\n")
    write(tmp_path / "t", b"good\ncaf\xe9\n")
    refused(r"/t, line 2: not valid UTF-8 \(byte 3 of the line is 0xe9\)")
    write(tmp_path / "t", "ﬁne".encode("utf-16"))
    refused(r"/t, line 1: not valid UTF-8")
    (tmp_path / "t").unlink()
    subprocess.run(["tar", "cf", "t", "good"], cwd=tmp_path, check=True)
    refused(r"/t: is a tar archive; unpack it")
    write(tmp_path / "t", gzip.compress((tmp_path / "t").read_bytes()))
    refused(r"/t: is a tar archive")
    subprocess.run([sys.executable, "-m", "zipfile", "-c", "z", "good"], cwd=tmp_path, check=True)
    (tmp_path / "z").replace(tmp_path / "t")
    refused(r"/t: is a zip archive")
    (tmp_path / "t").unlink()
    os.mkfifo(tmp_path / "t")
    refused(r"/t: is a pipe or a device, and this text is read more than once")
    (tmp_path / "t").unlink()
    (tmp_path / "t").symlink_to("nothing")
    refused(r"/t: no such file")


def test_a_file_that_changes_is_told(tmp_path):
    file = write(tmp_path / "t", b"one\n" * 1000)
    text = Text.of(file)
    lines = text.lines()
    next(lines)
    with open(file, "ab") as other:
        other.write(b"two\n")
    with pytest.raises(FocusError, match=r"/t: has changed while it was in use"):
        list(lines)
    with pytest.raises(FocusError, match=r"/t: has changed while it was in use"):
        text.content()
    assert len(list(Text.of(file).lines())) == 1001


def test_what_a_text_holds_is_found_out_once(tmp_path):
    file = write(tmp_path / "t", b"one\n" * 1000)
    read = []
    first = Text.of(file).content(read.append)
    assert Text.of(file).content(read.append) == first
    assert sum(read) == file.stat().st_size
    write(file, b"two\n" * 1000)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))  # clocks can be coarse
    assert Text.of(file).content().digest == hashlib.sha256(b"two\n" * 1000).hexdigest()


def test_reading_is_lazy(tmp_path):
    file = write(tmp_path / "t.txt", b"good\n" * 1000 + b"\xff\n")
    assert list(islice(Text.of(file).lines(), 3)) == ["good"] * 3


def test_a_line_that_is_no_text_is_told(tmp_path):
    path = write(tmp_path / "bomb.zst", zstd.compress(b"a" * (LONGEST_LINE + 1)))
    assert path.stat().st_size < LONGEST_LINE / 1000
    with pytest.raises(FocusError, match=r"bomb\.zst, line 1: is longer than 256 MB, so this is no text"):
        next(Text.of(path).lines())
