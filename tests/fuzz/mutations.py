"""Damages a file at random: its bytes or lines, or values inside its structure, which damaged bytes seldom reach."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from sentencepiece import sentencepiece_model_pb2

CANARY = "canary"  # a file that exists if code in an input has run
_NUMBERS = (0, -1, 1, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 10**30)
_VALUES = (
    *(None, True, False, "", "\0", "a" * 5000, "../../etc/passwd", "/dev/zero", "\ud83d", "１"),
    *([], {}, [[]], [None], {"": None}, 1.5, -0.0, 1e308, float("nan"), float("inf"), *_NUMBERS),
)
_LINES = (b"", b" ", b"\t", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"nan", b"1e999", b"-1 -1", b"{", b"[]", b"# x")
_BYTES = (b"\0", b"\xff", b"\n", b"\t", b" ", b"9", b"-", b"\x80\x80\x80\x80\x80\x80\x80\x80\x01", b"\xed\xa0\x80")
DEEP = 100_000


class _RunsCode:
    """Unpickling it makes the canary."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(CANARY),)


def mutated(content: bytes, kind: str, chance: Random) -> bytes:
    """The damaged content of a file of the format ``kind``, one of ``KINDS``; a third of the damage is to its bytes."""
    try:
        how = _bytes if chance.random() < 1 / 3 else KINDS[kind]
        return how(content, chance)
    except (ValueError, KeyError, IndexError, UnicodeError, struct.error):  # already damaged, too short
        return _bytes(content, chance)


def _bytes(content: bytes, chance: Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        size = len(content)
        place = chance.randrange(size + 1) if chance.random() < 0.6 else min(size, chance.randrange(200))
        length = min(size - place, chance.choice((0, 1, 4, 8, 64, 4096)))
        match chance.randrange(7):
            case 0:
                content = content[:place]
            case 1:
                content = content[:place] + content[place + length :]
            case 2:
                content = content[:place] + content[place : place + length] * 2 + content[place + length :]
            case 3:
                content = content[:place] + chance.choice(_BYTES) + content[place:]
            case 4:
                number = struct.pack("<Q", chance.choice(_NUMBERS[:-1]) % 2**64)[: chance.choice((1, 2, 4, 8))]
                content = content[:place] + number + content[place + len(number) :]
            case 5:
                content = content[:place] + chance.randbytes(length) + content[place + length :]
            case 6:
                content = chance.choice((b"", content * 2, content[::-1], b"\0" * size, content[place:]))
    return content


def _lines(content: bytes, chance: Random) -> bytes:
    """Lines and cells of a text or table."""
    lines = content.split(b"\n")
    for _ in range(chance.choice((1, 1, 3))):
        number = min(chance.randrange(len(lines)), chance.choice((0, 1, len(lines))))
        separator = chance.choice([mark for mark in (b"\t", b" ", b",", b"|||") if mark in lines[number]] or [b" "])
        cells = lines[number].split(separator)
        place = chance.randrange(len(cells))
        match chance.randrange(6):
            case 0:
                lines[number] = chance.choice(_LINES)
            case 1:
                lines.insert(number, lines[number])
            case 2:
                del cells[place]
                lines[number] = separator.join(cells)
            case 3:
                cells[place] = chance.choice((*_LINES, str(chance.choice(_NUMBERS)).encode(), b"a" * 100_000))
                lines[number] = separator.join(cells)
            case 4:
                lines[number] = separator.join([*cells, *cells])
            case 5:
                lines = chance.choice((lines[:number], lines[number:], lines[::-1], [b"\r\n".join(lines)]))
        lines = lines or [b""]
    return b"\n".join(lines)


def _json(content: bytes, chance: Random) -> bytes:
    value = json.loads(content)
    if chance.random() < 0.03:
        return b"[" * DEEP
    for _ in range(chance.choice((1, 1, 2))):
        value = _other_json(value, chance)
    return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _other_json(value: Any, chance: Random) -> Any:
    """``value`` with another value, without a value, or with one more, at a random place in it."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.1:
        return chance.choice(_VALUES)
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = chance.choice(places)
    match chance.randrange(4):
        case 0:
            del value[place]
        case 1 if isinstance(value, dict):
            value[chance.choice(["", "\0", "a" * 1000, *map(str, value)])] = value.pop(place)
        case 1:
            value.append(value[place])
        case _:
            value[place] = _other_json(value[place], chance)
    return value


def _json_lines(content: bytes, chance: Random) -> bytes:
    lines = content.splitlines()
    number = chance.randrange(len(lines))
    lines[number] = _json(lines[number], chance)
    return b"\n".join([*lines, b""])


def _zip(content: bytes, chance: Random) -> bytes:
    """Members of what ``torch.save`` or ``np.savez`` wrote, most of the time the pickle or a header."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    first = next((name for name in members if name.endswith("data.pkl")), next(iter(members)))
    name = first if chance.random() < 0.7 else chance.choice(list(members))
    match chance.randrange(5):
        case 0:
            members[first] = pickle.dumps({"model": _RunsCode()}, protocol=2)
        case 1:
            del members[name]
        case 2 if first.endswith(".pkl"):
            members[first] = _pickle(members[first], chance)
        case 3 if first.endswith(".npy"):
            members[first] = _npy(members[first], chance)
        case _:
            members[name] = _bytes(members[name], chance)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return whole.getvalue()


def _pickle(content: bytes, chance: Random) -> bytes:
    """Another class, shape, key or type of storage in a pickle of ``torch.save``."""
    words = (
        b"collections OrderedDict",
        b"torch FloatStorage",
        b"torch._utils _rebuild_tensor_v2",
        b"argparse Namespace",
    )
    classes = (
        *(b"os system", b"builtins eval", b"builtins exec", b"posix fork", b"subprocess Popen", b"pathlib Path"),
        *(b"torch LongStorage", b"torch QInt8Storage", b"torch._utils _rebuild_sparse_tensor", b"builtins bytearray"),
        *(
            b"torch._utils _rebuild_meta_tensor_no_storage",
            b"collections Counter",
            b"torch.nn Linear",
            b"nowhere at_all",
        ),
    )
    present = [word.replace(b" ", b"\n") for word in words if word.replace(b" ", b"\n") in content]
    match chance.randrange(3):
        case 0 if present:
            return content.replace(chance.choice(present), chance.choice(classes).replace(b" ", b"\n"), 1)
        case 1:  # an integer of one byte becomes one of four: a shape, stride or offset
            place = content.index(b"K", chance.randrange(len(content) // 2))
            return (
                content[:place] + b"J" + struct.pack("<i", chance.choice((-1, 2**31 - 1, 2**20))) + content[place + 2 :]
            )
    place = content.index(b"X", chance.randrange(len(content) // 2))
    length = struct.unpack("<I", content[place + 1 : place + 5])[0] % 200
    return content[: place + 5] + chance.randbytes(length).hex().encode()[:length] + content[place + 5 + length :]


def _safetensors(content: bytes, chance: Random) -> bytes:
    length = struct.unpack("<Q", content[:8])[0]
    header, data = content[8 : 8 + length], content[8 + length :]
    if chance.random() < 0.15:
        return struct.pack("<Q", chance.choice(_NUMBERS[:-1]) % 2**64) + header + data
    if chance.random() < 0.2:  # valid, with odd numbers
        return content[: 8 + length] + chance.choice(
            (b"\xff" * len(data), b"\0\0\x80\x7f" * (len(data) // 4), data[4:])
        )
    found = json.loads(header)
    if chance.random() < 0.5:
        entry = found[chance.choice([name for name in found if name != "__metadata__"])]
        entry[chance.choice(list(entry))] = chance.choice(
            ("F64", "BF16", "I8", "BOOL", [2**40, 2**40], [], [0, 0], [1])
        )
        header = json.dumps(found).encode()
    else:
        header = _json(header, chance)
    return struct.pack("<Q", len(header)) + header + data


def _npy(content: bytes, chance: Random) -> bytes:
    start, end = content.index(b"{"), content.index(b"}")
    changes = (
        (b"'<i4'", chance.choice((b"'|O'", b"'<f8'", b"'<U400'", b"'<i8'", b"[('a', '<i4')]"))),
        (b"(", chance.choice((b"(-", b"(9999999999", b"(1, ", b"((", b""))),
        (b"False", chance.choice((b"True", b"None", b"__import__('os').system('touch canary')"))),
        (b"'<f4'", chance.choice((b"'|O'", b"'<c16'", b"'|S9'"))),
    )
    header = content[start:end].replace(*chance.choice(changes))
    header = (header + b"}").ljust(end + 1 - start) + content[end + 1 :]
    return content[:start] + header


def _sentencepiece(content: bytes, chance: Random) -> bytes:
    model = sentencepiece_model_pb2.ModelProto.FromString(content)
    piece, other = (chance.choice(model.pieces) for _ in range(2))
    match chance.randrange(9):
        case 0:
            piece.score = chance.choice((float("nan"), float("inf"), -1e38, 1e38))
        case 1:
            piece.piece = chance.choice(("", other.piece, "\0", "▁" * 3000, "<mask>", "<s>", " ", "\n", "a b"))
        case 2:
            piece.type = chance.choice((1, 2, 3, 4, 5, 6))
        case 3:
            del model.pieces[chance.randrange(len(model.pieces)) :]
        case 4:
            model.trainer_spec.model_type = chance.choice((1, 2, 3, 4))
        case 5:
            model.normalizer_spec.precompiled_charsmap = chance.choice((b"", b"\xff" * 50, chance.randbytes(400)))
        case 6:
            model.trainer_spec.unk_id = chance.choice((-1, 5, 2**31 - 1))
            model.trainer_spec.bos_id = chance.choice((-1, 1, 99))
        case 7:
            model.pieces.extend([other] * 3)
        case 8:
            model.trainer_spec.byte_fallback = True
            model.normalizer_spec.add_dummy_prefix = chance.random() < 0.5
            model.trainer_spec.treat_whitespace_as_suffix = chance.random() < 0.5
    return bytes(model.SerializeToString())


def _onnx(content: bytes, chance: Random) -> bytes:
    import onnx

    model = onnx.ModelProto.FromString(content)
    graph = model.graph
    tensor, node = chance.choice(graph.initializer), chance.choice(graph.node)
    match chance.randrange(7):
        case 0:
            for entry in tensor.external_data:
                if entry.key in ("offset", "length"):
                    entry.value = str(chance.choice(_NUMBERS))
        case 1:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = chance.choice(("../secret", "/etc/passwd", "", "config.json"))
        case 2 if tensor.dims:
            tensor.dims[0] = chance.choice((-1, 0, 1, 2**40))
        case 3:
            node.op_type = chance.choice(("", "NoSuch", "Loop", "Identity"))
        case 4:
            node.input[0] = chance.choice(("", "nowhere", node.output[0]))
        case 5:
            del graph.output[:]
        case _:
            graph.input[0].name = "other"
    return bytes(model.SerializeToString())


def _fasttext(content: bytes, chance: Random) -> bytes:
    """The numbers at the beginning: magic, version, 12 arguments, and the sizes of the dictionary."""
    place = 4 * chance.randrange(2, 24)
    return (
        content[:place] + struct.pack("<i", chance.choice((-1, 0, 1, 2**16, 2**27, 2**31 - 1))) + content[place + 4 :]
    )


def _compressed(content: bytes, chance: Random) -> bytes:
    text = gzip.decompress(content)
    packed = chance.choice((_gzip, lzma.compress, bz2.compress))(text)
    return chance.choice((content * 2 + b"rest", content + packed, _bytes(packed, chance), _gzip(content)))


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


KINDS: dict[str, Callable[[bytes, Random], bytes]] = {
    "bytes": _bytes,
    "lines": _lines,
    "json": _json,
    "json lines": _json_lines,
    "zip": _zip,
    "safetensors": _safetensors,
    "npy": _npy,
    "sentencepiece": _sentencepiece,
    "onnx": _onnx,
    "fasttext": _fasttext,
    "compressed": _compressed,
}
