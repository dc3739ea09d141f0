"""Checks the layout of a fastText model before fastText reads it: fastText itself trusts every number in the file.

The layout is that of ``FastText::saveModel``, ``Args::save``, ``Dictionary::save`` and ``DenseMatrix::save`` in
https://github.com/facebookresearch/fastText.
"""

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from focus_plugin.errors import FocusError

_MAGIC, _VERSIONS = 793712314, (11, 12)
_HEADER = struct.Struct("<14id3i2q")
_ENTRY = struct.Struct("<qb")  # after a word and a zero byte: its count, and 0 for a word or 1 for a label
_MATRIX = struct.Struct("<?2q")  # before the values, float32: whether it is quantized, rows, columns
_SUPERVISED = 3
_AT_ONCE = 1 << 22  # values that are checked at once
_MOST_COUNTED = 10**15  # fastText's Huffman tree takes this number for the count of no word


class _Header(NamedTuple):
    """The numbers at the beginning of a model; ``args`` in fastText's order."""

    magic: int
    version: int
    dim: int
    ws: int
    epoch: int
    min_count: int
    neg: int
    word_ngrams: int
    loss: int
    model: int
    bucket: int
    minn: int
    maxn: int
    lr_update_rate: int
    t: float
    entries: int
    words: int
    labels: int
    tokens: int
    pruned: int

    @property
    def matrices(self) -> tuple[int, int]:
        """The numbers of rows of the input and the output matrix."""
        return self.words + self.bucket, self.labels if self.model == _SUPERVISED else self.words


def require_fasttext(path: Path) -> None:
    """Raise FocusError unless ``path`` has the layout of a fastText model that is not quantized, and finite vectors."""
    if path.stat().st_size < _HEADER.size:
        raise _damaged(path, "it is too short")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        header = _Header(*_HEADER.unpack_from(content))
        if header.magic != _MAGIC or header.version not in _VERSIONS:
            raise _damaged(path, "it begins with other bytes")
        if fault := _fault(header):
            raise _damaged(path, fault)
        of_matrices = sum(_MATRIX.size + 4 * rows * header.dim for rows in header.matrices)
        if _HEADER.size + of_matrices + header.entries * (1 + _ENTRY.size) > len(content):
            raise _truncated(path)
        start = _end_of_words(path, content, header)
        if start + of_matrices > len(content):
            raise _truncated(path)
        if start + of_matrices < len(content):
            raise _damaged(path, "it goes on after its matrices")
        for rows in header.matrices:
            if _MATRIX.unpack_from(content, start) != (False, rows, header.dim):
                raise _damaged(path, "its matrices do not fit its words, or are quantized")
            start += _MATRIX.size + 4 * rows * header.dim
        if not _finite(content, start - of_matrices + _MATRIX.size, header.matrices[0] * header.dim):
            raise _damaged(path, "it holds NaN or infinity")


def _finite(content: mmap.mmap, start: int, count: int) -> bool:
    """Whether ``count`` float32 values from the byte ``start`` on are finite."""
    values = np.frombuffer(content, "<f4", count, start)
    return all(np.isfinite(values[i : i + _AT_ONCE]).all() for i in range(0, count, _AT_ONCE))


def _fault(header: _Header) -> str | None:
    """Numbers with which fastText would fail, or None."""
    least = {"dim": 1, "bucket": 1 if header.maxn > 0 else 0, "minn": 0, "maxn": 0, "words": 1, "labels": 0}
    for name, number in least.items():
        if getattr(header, name) < number:
            return f"its number {name} is {getattr(header, name)}"
    if header.entries != header.words + header.labels or not all(header.matrices):
        return "its numbers of words and labels are impossible"
    if header.model not in (1, 2, 3) or header.loss not in (1, 2, 3, 4):
        return "its kind of model is unknown"
    return "it is quantized" if header.pruned > 0 else None


def _end_of_words(path: Path, content: mmap.mmap, header: _Header) -> int:
    place = _HEADER.size
    for number in range(header.entries):
        end = content.find(b"\0", place) + 1
        if not end or end + _ENTRY.size > len(content):
            raise _truncated(path)
        count, kind = _ENTRY.unpack_from(content, end)
        if not 0 <= count < _MOST_COUNTED or kind != (number >= header.words):
            raise _damaged(path, f"its entry {number + 1} is neither a word nor a label")
        place = end + _ENTRY.size
    return place


def _damaged(path: Path, what: str) -> FocusError:
    return FocusError(f"{path}: damaged or not a fastText model ({what}).")


def _truncated(path: Path) -> FocusError:
    return FocusError(f"{path}: truncated; copy or train it again.")
