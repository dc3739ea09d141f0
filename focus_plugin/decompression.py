"""Reads a file or pipe and decompresses gzip, xz, zstd and bzip2, which are recognized by content, not by name."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from focus_plugin.files import Progress, silent

CHUNK = 1 << 18  # bytes


class DecompressionError(Exception):
    """Compressed data cannot be read. The message is to be appended to the name of the file and a colon."""


class _Stream(Protocol):
    """The decompressor of one gzip member, xz stream, zstd frame or bzip2 stream, as in the standard library."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipMember:
    """zlib's decompressor with the interface of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail or data, max_length)


def _zstd_frame() -> _Stream:
    try:
        from compression import zstd  # Python 3.14
    except ModuleNotFoundError:
        try:
            from backports import zstd
        except ModuleNotFoundError as error:
            raise DecompressionError(
                'reading zstd needs the package backports.zstd; pip install "focus-fairseq[zstd]", or decompress the '
                "file first with unzstd."
            ) from error
    frame: _Stream = zstd.ZstdDecompressor()
    return frame


_BZIP2 = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")  # the bytes after the level, in a file with data and in an empty file
_FORMATS: dict[str, tuple[Callable[[], _Stream], Iterable[bytes]]] = {
    "gzip": (_GzipMember, [b"\x1f\x8b"]),
    "xz": (lzma.LZMADecompressor, [b"\xfd7zXZ\0"]),
    # A file may begin with a frame without data, as files of pzstd do.
    "zstd": (_zstd_frame, [b"\x28\xb5\x2f\xfd", *(bytes([0x50 + i]) + b"*M\x18" for i in range(16))]),
    "bzip2": (bz2.BZ2Decompressor, [b"BZh%d" % level + start for level in range(1, 10) for start in _BZIP2]),
}
_FORMAT_OF = {magic: name for name, (_, magics) in _FORMATS.items() for magic in magics}


class Decompressed(io.RawIOBase):
    """A read-only stream of the decompressed bytes of ``file``, which must be opened without a buffer.

    Several compressed streams in one file are read as one. After a stream, only another stream or zeros are allowed.
    ``format``: the name of the compression, empty if there is none. ``progress`` is called with the number of bytes of
    ``file`` read since the last call. Reading raises DecompressionError for damaged data, and for zstd if its package
    is missing.
    """

    def __init__(self, file: io.RawIOBase, progress: Progress = silent) -> None:
        self._file = file
        self._progress = progress
        self._pending = b""  # read, but not yet decompressed or returned
        self.format = self._recognize()
        self._stream: _Stream | None = None

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``; return the number of bytes, 0 only at the end."""
        data = self._decompress(len(buffer)) if self.format else self._next_plain(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _recognize(self) -> str:
        """The name of the format. Only the bytes needed for this are read, since a pipe may have no more yet."""
        while any(magic.startswith(self._pending) for magic in _FORMAT_OF):
            if self._pending in _FORMAT_OF:
                return _FORMAT_OF[self._pending]
            byte = self._read(1)
            if not byte:
                break
            self._pending += byte
        return ""

    def _read(self, size: int) -> bytes:
        data = self._file.read(size) or b""
        self._progress(len(data))
        return data

    def _next_plain(self, size: int) -> bytes:
        if not self._pending:
            return self._read(size)
        data, self._pending = self._pending[:size], self._pending[size:]
        return data

    def _decompress(self, size: int) -> bytes:
        while True:
            if self._stream and self._stream.eof:
                if not self._find_next_stream(self._stream.unused_data):
                    return b""
                self._stream = None
            stream = self._stream = self._stream or _FORMATS[self.format][0]()
            data = b""
            if stream.needs_input:
                data, self._pending = self._pending or self._read(CHUNK), b""
                if not data:
                    raise self._damaged("it ends in the middle of the compressed data")
            try:
                decompressed = stream.decompress(data, size)
            except Exception as error:  # each format has its own exception, and zstd's package may be missing
                raise self._damaged(error) from error
            if decompressed:
                return decompressed

    def _find_next_stream(self, data: bytes) -> bool:
        """Skip zeros in ``data`` and after it; return whether another stream begins there."""
        while not (stripped := data.lstrip(b"\0")):
            data = self._read(CHUNK)
            if not data:
                return False
        self._pending = stripped
        return True

    def _damaged(self, reason: object) -> DecompressionError:
        return DecompressionError(f"the {self.format} file is damaged or truncated ({reason}).")
