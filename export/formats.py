"""The files that predictions are written to: JSON Lines, labels, NumPy and Parquet."""

import gzip
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from focus_plugin.errors import FocusError

from .directory import ExportConfig
from .progress import Phase

FORMATS = ("jsonl", "txt", "npy", "parquet")
PARQUET_ROWS = 65_536
Labels = Sequence[str] | None
Encode = Callable[[int, np.ndarray], bytes]


@dataclass(frozen=True)
class Format:
    """How predictions become a file that grows at its end.

    start: its first bytes. encode: of the number of the first text (from 1) and rows (texts, size), the bytes to
    append. finish: makes the finished file of the grown one, in its place or beside it, tells of itself if that takes
    time, and returns the path.
    """

    start: bytes
    encode: Encode
    finish: Callable[[Path, Phase], Path]


def format_name(output: str | Path, given: str | None) -> str:
    """The format ``given``, or that of the file name's end; without any end, and for standard output, JSON Lines.

    Raises FocusError if the end is that of no format.
    """
    suffix = Path(Path(output).name.removesuffix(".gz")).suffix
    name = given or suffix.removeprefix(".") or "jsonl"
    if name not in FORMATS:
        raise FocusError(f"{output}: {suffix} is none of {', '.join(FORMATS)}; give one of these as --format.")
    return name


def make_format(name: str, compressed: bool, config: ExportConfig, size: int) -> Format:
    """The format ``name`` for the predictions of a model with results of ``size`` numbers; gzip if ``compressed``.

    Raises FocusError if a model or a compression cannot be written so, or Parquet without pyarrow.
    """
    labels = config.labels
    if name == "jsonl":
        return _growing_lines(partial(_json_lines, labels), compressed)
    if name == "txt":
        if labels is None:
            raise FocusError("The format txt holds labels, and this model makes embeddings; choose another format.")
        return _growing_lines(partial(_label_lines, labels), compressed)
    if compressed:
        raise FocusError(f"The format {name} is not written compressed; leave out the .gz.")
    if name == "npy":
        return Format(_npy_header(0, size), _numbers, partial(_finish_npy, size))
    _pyarrow()
    return Format(b"", _numbers, partial(_finish_parquet, labels, size))


def _growing_lines(encode: Encode, compressed: bool) -> Format:
    """A gzip file is a row of members, of which each is compressed by itself."""
    if not compressed:
        return Format(b"", encode, _finish_lines)
    return Format(_compress(b""), lambda first, rows: _compress(encode(first, rows)), _finish_lines)


def _finish_lines(grown: Path, _: Phase) -> Path:
    return grown


def _compress(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _json_lines(labels: Labels, first: int, rows: np.ndarray) -> bytes:
    lines = []
    for number, (best, values) in enumerate(zip(rows.argmax(1), rows.tolist(), strict=True), first):
        line: dict[str, object] = {"line": number}
        if labels is None:
            line |= {"embedding": values}
        else:
            line |= {"label": labels[best], "scores": dict(zip(labels, values, strict=True))}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def _label_lines(labels: Sequence[str], _: int, rows: np.ndarray) -> bytes:
    return "".join(f"{labels[best]}\n" for best in rows.argmax(1)).encode()


def _numbers(_: int, rows: np.ndarray) -> bytes:
    return rows.astype("<f4").tobytes()


def _npy_header(count: int, size: int) -> bytes:
    """Of the same length for any ``count``: NumPy leaves room for a file to grow along its first axis."""
    header = io.BytesIO()
    write: Any = np.lib.format.write_array_header_1_0  # untyped in older stubs
    write(header, {"descr": "<f4", "fortran_order": False, "shape": (count, size)})
    return header.getvalue()


def _finish_npy(size: int, grown: Path, _: Phase) -> Path:
    with open(grown, "r+b") as file:
        count = (file.seek(0, os.SEEK_END) - len(_npy_header(0, size))) // (4 * size)
        file.seek(0)
        file.write(_npy_header(count, size))
        file.flush()
        os.fsync(file.fileno())
    return grown


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise FocusError('Parquet needs pyarrow; install the extra "parquet", or choose another format.') from error
    return pyarrow


def _finish_parquet(labels: Labels, size: int, grown: Path, phase: Phase) -> Path:
    path = grown.with_name(f"{grown.name}.parquet")
    try:
        _write_parquet(labels, size, grown, path, phase)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _write_parquet(labels: Labels, size: int, grown: Path, path: Path, phase: Phase) -> None:
    arrow = _pyarrow()
    vectors = arrow.list_(arrow.float32(), size)
    fields = {"embedding": vectors} if labels is None else {"label": arrow.string(), "scores": vectors}
    metadata = {} if labels is None else {"labels": json.dumps(labels, ensure_ascii=False)}
    schema = arrow.schema(fields, metadata)
    with phase("Writing Parquet", grown.stat().st_size) as progress, open(path, "wb") as file:
        with arrow.parquet.ParquetWriter(file, schema, use_dictionary=["label"]) as writer:
            for rows in _blocks(grown, size):
                columns = [arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), size)]
                if labels is not None:
                    columns.insert(0, arrow.array([labels[best] for best in rows.argmax(1)]))
                writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
                progress(0, rows.nbytes)
        file.flush()
        os.fsync(file.fileno())


def _blocks(path: Path, size: int) -> Iterator[np.ndarray]:
    """The rows of a file of float32 numbers, some at a time: (rows, size)."""
    with open(path, "rb") as file:
        while numbers := file.read(4 * size * PARQUET_ROWS):
            yield np.frombuffer(numbers, "<f4").reshape(-1, size)
