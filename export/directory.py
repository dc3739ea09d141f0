"""Writes, reads and checks the export directory, which has all files that are needed to run a model."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from focus_plugin.errors import FocusError, first_line
from focus_plugin.files import parse_json, sha256, whole_directory, write_json

from .head import LENGTH, Output, ServingHead
from .served_heads import head_from_json, head_to_json
from .tokenizer import RowTokens, TokenizerFile

FORMAT_VERSION = 3
ONNX_MODEL = "model.onnx"
MODEL_DATA = "model.onnx.data"
EXPORTED_TOKENIZERS = {".model": "sentencepiece.model", ".json": "tokenizer.json"}  # by the ending of their origin
PIECE_IDS = "piece_ids.npy"
EXPORT_CONFIG = "config.json"
INPUTS = ("input_ids", "lengths")
HIDDEN_STATES = "hidden_states"
PRECISIONS = ("fp32", "fp16", "bf16", "int8")
# How an ONNX file names the file of a weight: the key "location" and its value, in protobuf's encoding.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """The content of ``config.json``, which describes an exported model.

    head: the head of the model. precision: that of the matrix products, "fp32", "fp16", "bf16" or "int8". vocabulary:
    the number of token ids. width: the size of a hidden state. max_positions: the largest number of tokens in one text,
    ``<s>`` and ``</s>`` included. bos, pad, eos, unk: the ids of special tokens. hidden_states: whether the model also
    has the output "hidden_states".
    """

    head: ServingHead
    precision: str
    vocabulary: int
    width: int
    max_positions: int
    bos: int
    pad: int
    eos: int
    unk: int
    hidden_states: bool

    @property
    def row_tokens(self) -> RowTokens:
        """The special tokens of rows, and their length."""
        return RowTokens(bos=self.bos, eos=self.eos, unk=self.unk, max_positions=self.max_positions)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs of the model."""
        return graph_outputs(self.head, self.width, self.hidden_states)


@dataclass(frozen=True, kw_only=True)
class ExportDirectory:
    """The content of an export directory. sha256: the digests of the model's files, by name."""

    model: Path
    tokenizer: TokenizerFile
    config: ExportConfig
    sha256: Mapping[str, str]


_PLAIN = tuple(field.name for field in fields(ExportConfig) if field.name != "head")


def graph_outputs(head: ServingHead, width: int, hidden_states: bool) -> tuple[Output, ...]:
    """The outputs of a model: those of its head and, if ``hidden_states`` is true, the hidden states."""
    states = (Output(HIDDEN_STATES, (LENGTH, width)),) if hidden_states else ()
    return (*head.outputs(width), *states)


def write_export(
    directory: str | Path, config: ExportConfig, write_model: Callable[[Path], object], tokenizer: TokenizerFile
) -> None:
    """Write an export directory completely or not at all.

    ``write_model`` is called with the path to which it must write the ONNX model, with external data beside it. If it
    raises an exception, for example because a verification failed, nothing is written. Raises FocusError if
    ``directory`` exists and is not empty, or if the parts do not fit together.
    """
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FocusError(f"{directory}: already exists; name a new directory for the export.")
    if fault := _config_fault(config) or _piece_ids_fault(tokenizer.piece_ids, config):
        raise FocusError(f"{directory}: cannot be exported: {fault}.")
    with whole_directory(directory) as temporary:
        write_model(temporary / ONNX_MODEL)
        (temporary / EXPORTED_TOKENIZERS[tokenizer.path.suffix]).write_bytes(tokenizer.content)
        np.save(temporary / PIECE_IDS, tokenizer.piece_ids.astype(np.int32), allow_pickle=False)
        files = {
            file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)} for file in sorted(temporary.iterdir())
        }
        values = {name: getattr(config, name) for name in _PLAIN}
        names = {"inputs": INPUTS, "outputs": [output.name for output in config.outputs]}
        head = head_to_json(config.head)
        write_json(temporary / EXPORT_CONFIG, {"version": FORMAT_VERSION, **head, **values, **names, "files": files})


def read_export(directory: str | Path) -> ExportDirectory:
    """Read an export directory and check it, except for the bytes of the model, which :func:`check_model` checks.

    Raises FocusError, naming the file, if a file is missing or was changed since the export, if the format has another
    version, or if the parts do not fit together.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FocusError(f"{directory}: no such directory.")
    values = _read_config(directory / EXPORT_CONFIG)
    digests = _check_files(directory, values)
    config = _parse_config(directory / EXPORT_CONFIG, values)
    path = next(path for name in EXPORTED_TOKENIZERS.values() if (path := directory / name).is_file())
    piece_ids = _read_piece_ids(directory / PIECE_IDS, config)
    tokenizer = TokenizerFile(path=path, content=path.read_bytes(), piece_ids=piece_ids)
    return ExportDirectory(model=directory / ONNX_MODEL, tokenizer=tokenizer, config=config, sha256=digests)


def check_model(export: ExportDirectory) -> None:
    """Raise FocusError if the model's files were changed since the export. Takes one or two seconds per gigabyte."""
    for name, digest in export.sha256.items():
        if sha256(export.model.with_name(name)) != digest:
            raise _changed(export.model.with_name(name))


def _changed(path: Path) -> FocusError:
    return FocusError(f"{path}: truncated, damaged or changed since the export; copy it again or repeat the export.")


def _read_config(path: Path) -> dict[str, object]:
    """The values in ``config.json``. Raises FocusError if they have another format version."""
    if not path.is_file():
        raise FocusError(f"{path}: no such file; give a directory made by focus export --onnx.")
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FocusError(f"{path}: not valid JSON ({error}).") from error
    if not isinstance(values, dict) or "version" not in values:
        raise FocusError(f'{path}: has no "version", so it is not the configuration of an export.')
    if values["version"] != FORMAT_VERSION:
        raise FocusError(
            f"{path}: format version {values['version']}, but this program reads version {FORMAT_VERSION}; "
            "export the model again with this version of the program."
        )
    return values


def _check_files(directory: Path, values: dict[str, object]) -> dict[str, str]:
    """Check every file listed under "files": the size of the model's files, and the SHA-256 of the others.

    Returns the SHA-256 of the model's files, by name.
    """
    files = values.get("files")
    needed = {ONNX_MODEL, MODEL_DATA, PIECE_IDS}
    tokenizers = {*EXPORTED_TOKENIZERS.values()}
    if not isinstance(files, dict) or not needed <= files.keys() or not tokenizers & files.keys():
        raise FocusError(f'{directory / EXPORT_CONFIG}: does not list all files of the export under "files".')
    model = {}
    for name, entry in files.items():
        if Path(name).name != name or not isinstance(entry, dict) or not {"bytes", "sha256"} <= entry.keys():
            raise FocusError(f'{directory / EXPORT_CONFIG}: "files" has no "bytes" and "sha256" of {name!r} beside it.')
        path = directory / name
        if not path.is_file():
            raise FocusError(f"{path}: no such file; the export is incomplete, copy it again or repeat the export.")
        if path.stat().st_size != entry["bytes"]:
            raise _changed(path)
        if name.startswith(ONNX_MODEL):
            model[name] = entry["sha256"]
        elif sha256(path) != entry["sha256"]:
            raise _changed(path)
    if strange := sorted(_weight_files(directory / ONNX_MODEL) - model.keys()):
        raise FocusError(
            f"{directory / ONNX_MODEL}: has weights in {strange[0]!r}, which is not a file of this export."
        )
    return model


def _weight_files(model: Path) -> set[str]:
    """The names of the files in which an ONNX file has its weights. The package onnx need not be installed."""
    content = model.read_bytes()
    ends = ((match.end(), match[1][0]) for match in _LOCATION.finditer(content))
    return {content[end : end + length].decode("utf-8", "replace") for end, length in ends}


def _parse_config(path: Path, values: dict[str, object]) -> ExportConfig:
    if absent := [name for name in _PLAIN if name not in values]:
        raise FocusError(f'{path}: has no "{absent[0]}".')
    try:
        head = head_from_json(values)
    except FocusError as error:
        raise FocusError(f"{path}: {error}") from error
    parts: dict[str, Any] = {name: values[name] for name in _PLAIN}
    config = ExportConfig(head=head, **parts)
    if fault := _config_fault(config):
        raise FocusError(f"{path}: {fault}.")
    return config


def _config_fault(config: ExportConfig) -> str | None:
    """What is wrong with a configuration, or None."""
    for name in ("vocabulary", "width", "max_positions", "bos", "pad", "eos", "unk"):
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            return f'"{name}" is {value!r}, not a whole number'
        if name in ("bos", "pad", "eos", "unk") and value >= config.vocabulary:
            return f'"{name}" is token id {value}, but the vocabulary has only {config.vocabulary} tokens'
    if not isinstance(config.hidden_states, bool):
        return f'"hidden_states" is {config.hidden_states!r}, neither true nor false'
    if config.precision not in PRECISIONS:
        return f'"precision" is {config.precision!r}, not one of {", ".join(PRECISIONS)}'
    if config.max_positions < 2:
        return f'"max_positions" is {config.max_positions}, too few for <s> and </s>'
    return config.head.fault()


def _read_piece_ids(path: Path, config: ExportConfig) -> np.ndarray:
    try:
        piece_ids = np.asarray(np.load(path, allow_pickle=False))
    except Exception as error:  # a damaged file can make NumPy raise anything
        raise FocusError(f"{path}: not a NumPy array file ({first_line(error)}).") from error
    if fault := _piece_ids_fault(piece_ids, config):
        raise FocusError(f"{path}: {fault}.")
    return piece_ids.astype(np.int32)


def _piece_ids_fault(piece_ids: np.ndarray, config: ExportConfig) -> str | None:
    """What is wrong with the table of token ids, or None."""
    if piece_ids.ndim != 1 or not np.issubdtype(piece_ids.dtype, np.integer) or not piece_ids.size:
        return f"the piece ids are {piece_ids.dtype} of shape {piece_ids.shape}, not a row of whole numbers"
    if piece_ids.min() < 0 or piece_ids.max() >= config.vocabulary:
        wrong = int(np.flatnonzero((piece_ids < 0) | (piece_ids >= config.vocabulary))[0])
        return (
            f"the tokenizer's id {wrong} has token id {piece_ids[wrong]}, outside the vocabulary of "
            f"{config.vocabulary} tokens"
        )
    return None
