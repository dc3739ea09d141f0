"""The file formats of predictions: JSON Lines, NumPy, Parquet, and the text formats of a head."""

import gzip
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from focus_plugin.errors import FocusError

from .head import RowHead, ServingHead
from .pipeline import Results
from .text_progress import TextPhase

PARQUET_ROWS = 65_536
Encode = Callable[[int, Results], bytes]


@dataclass(frozen=True)
class Format:
    """How predictions are appended to a file.

    start: the first bytes of the file. encode: a function from the number of the first text (from 1) and the results of
    a window to the bytes to append; it raises ResultError. finish: a function that makes the finished file from the
    file of all results, in its place or beside it, and returns its path; it shows its progress if it takes long. end:
    the last bytes of the file, which finish appends if there are any.
    """

    start: bytes
    encode: Encode
    finish: Callable[[Path, TextPhase], Path]
    end: bytes = b""


class ResultError(FocusError):
    """A result that cannot be written in a format. number: that of its text, from 1. fault: what is wrong."""

    def __init__(self, number: int, fault: str) -> None:
        super().__init__(f"Text {number}: {fault}")
        self.number, self.fault = number, fault


def format_names(head: ServingHead) -> tuple[str, ...]:
    """The names of the formats in which the results of a head can be written."""
    return ("jsonl", *head.lines(), *head.entries(), *(["npy"] if isinstance(head, RowHead) else []), "parquet")


def format_name(output: str | Path, given: str | None, head: ServingHead) -> str:
    """The name of the format: ``given``, or the one that belongs to the suffix of the file name.

    Without a suffix, and for standard output, it is JSON Lines. Raises FocusError if the results of the head cannot be
    written in this format.
    """
    suffix = Path(Path(output).name.removesuffix(".gz")).suffix.removeprefix(".")
    name, known = given or suffix or "jsonl", format_names(head)
    if name not in known:
        advice = "choose one of them" if given else "give one of them as --format"
        raise FocusError(
            f"{output}: {name} is not a format of this model. The formats for {head.name} are {', '.join(known)}; "
            f"{advice}."
        )
    return name


def make_format(name: str, compressed: bool, head: ServingHead, width: int) -> Format:
    """The format ``name``, one of :func:`format_names`, compressed with gzip if ``compressed``.

    ``width``: the size of a hidden state. Raises FocusError if the format cannot be compressed with gzip, and for
    Parquet if pyarrow is not installed.
    """
    if name == "jsonl":
        return _growing_lines(partial(_json_lines, head), compressed)
    if name in (lines := head.lines()):
        return _growing_lines(partial(_text_lines, head, lines[name]), compressed)
    if name in (entries := head.entries()):
        return _growing_lines(partial(_entries, head, entries[name]), compressed, start=b"{", end=b"\n}\n")
    if compressed:
        raise FocusError(f"The format {name} cannot be compressed with gzip; leave out the .gz.")
    if name == "npy":
        assert isinstance(head, RowHead)
        size = head.size(width)
        return Format(_npy_header(0, size), _numbers, partial(_finish_npy, size))
    _pyarrow()
    if isinstance(head, RowHead):
        return Format(b"", _numbers, partial(_finish_parquet, head, width, partial(_row_tables, head, width)))
    return Format(b"", partial(_json_lines, head), partial(_finish_parquet, head, width, _record_tables))


def _objects(head: ServingHead, results: Results) -> Iterable[Any]:
    """The results of a window one by one."""
    return head.results(results) if isinstance(head, RowHead) else results


def _growing_lines(encode: Encode, compressed: bool, start: bytes = b"", end: bytes = b"") -> Format:
    """A format of lines. If compressed, each window is a gzip member of its own."""
    if not compressed:
        return Format(start, encode, partial(_finish_lines, end), end)
    end = _compress(end) if end else b""
    return Format(
        _compress(start), lambda first, results: _compress(encode(first, results)), partial(_finish_lines, end), end
    )


def _finish_lines(end: bytes, grown: Path, _: TextPhase) -> Path:
    with open(grown, "ab") as file:
        file.write(end)
        file.flush()
        os.fsync(file.fileno())
    return grown


def _compress(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _json_lines(head: ServingHead, first: int, results: Results) -> bytes:
    lines = [
        json.dumps({"line": number, **head.record(result)}, ensure_ascii=False, allow_nan=False) + "\n"
        for number, result in enumerate(_objects(head, results), first)
    ]
    return "".join(lines).encode()


def _text_lines(head: ServingHead, line: Callable[[Any], str], _: int, results: Results) -> bytes:
    return "".join(map(line, _objects(head, results))).encode()


def _entries(head: ServingHead, entry: Callable[[Any], tuple[str, Any]], first: int, results: Results) -> bytes:
    """The entries of a JSON object, with the comma before each one."""
    written = []
    for number, result in enumerate(_objects(head, results), first):
        try:
            key, value = entry(result)
        except FocusError as error:
            raise ResultError(number, str(error)) from error
        pair = f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        written.append(f"{',' if number > 1 else ''}\n{pair}")
    return "".join(written).encode()


def _numbers(_: int, rows: np.ndarray) -> bytes:
    return rows.astype("<f4").tobytes()


def _npy_header(count: int, size: int) -> bytes:
    """The header of an array (count, size). Its length is the same for any ``count``, since NumPy reserves space."""
    header = io.BytesIO()
    write: Any = np.lib.format.write_array_header_1_0  # untyped in older stubs
    write(header, {"descr": "<f4", "fortran_order": False, "shape": (count, size)})
    return header.getvalue()


def _finish_npy(size: int, grown: Path, _: TextPhase) -> Path:
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


# Yields tables of the results in the file of all results, each with the number of bytes read for it.
_Tables = Callable[[Path, Any], Iterator[tuple[Any, int]]]


def _finish_parquet(head: ServingHead, width: int, tables: _Tables, grown: Path, phase: TextPhase) -> Path:
    path = grown.with_name(f"{grown.name}.parquet")
    arrow = _pyarrow()
    schema = head.parquet(arrow, width)
    strings = [field.name for field in schema if field.type == arrow.string()]
    try:
        with phase("Writing Parquet", grown.stat().st_size) as progress, open(path, "wb") as file:
            with arrow.parquet.ParquetWriter(file, schema, use_dictionary=strings) as writer:
                for table, size in tables(grown, schema):
                    writer.write_table(table)
                    progress(0, size)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _row_tables(head: RowHead, width: int, grown: Path, schema: Any) -> Iterator[tuple[Any, int]]:
    """The tables of a file of float32 rows."""
    arrow, size = _pyarrow(), head.size(width)
    with open(grown, "rb") as file:
        while numbers := file.read(4 * size * PARQUET_ROWS):
            columns = head.table(np.frombuffer(numbers, "<f4").reshape(-1, size))
            arrays = [_arrow_column(arrow, columns[field.name], field.type) for field in schema]
            yield arrow.Table.from_arrays(arrays, schema=schema), len(numbers)


def _arrow_column(arrow: Any, column: np.ndarray, kind: Any) -> Any:
    if column.ndim == 1:
        return arrow.array(column, kind)
    return arrow.FixedSizeListArray.from_arrays(arrow.array(column.ravel()), column.shape[1])


def _record_tables(grown: Path, schema: Any) -> Iterator[tuple[Any, int]]:
    """The tables of a file of JSON Lines."""
    arrow = _pyarrow()
    with open(grown, "rb") as file:
        while lines := file.readlines(PARQUET_ROWS * 256):
            yield arrow.Table.from_pylist([json.loads(line) for line in lines], schema=schema), sum(map(len, lines))
