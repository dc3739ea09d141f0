"""Reads a hypernetwork from its directory: weights in safetensors or in Flax's format, none of which can run code."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from focus_plugin.checkpoint.names import POSITIONS, from_hugging_face
from focus_plugin.checkpoint.weights import load_safetensors
from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file
from focus_plugin.hypernetwork.config import HypernetworkConfig, read_config
from focus_plugin.hypernetwork.network import Hypernetwork, expected_tensors
from focus_plugin.hypernetwork.pieces import read_byte_vocabulary
from focus_plugin.vocabulary.files import TOKENIZER_JSON

NETWORK_CONFIG, SAFETENSORS, FLAX = "config.json", "model.safetensors", "flax_model.msgpack"
_ARRAY = 1  # the number of arrays among the extension types of Flax's files
_TYPES = {b"float32": torch.float32, b"float16": torch.float16, b"bfloat16": torch.bfloat16}
_TOKEN_TYPES = "model.embeddings.token_type_embeddings.weight"


def hypernetwork_files(directory: Path) -> list[Path]:
    """The files of a hypernetwork: settings, tokenizer and weights. Raises FocusError if one is missing."""
    if not directory.is_dir():
        raise FocusError(f"{directory}: no such directory.")
    weights = [path for name in (SAFETENSORS, FLAX) if (path := directory / name).is_file()]
    if not weights:
        raise FocusError(f"{directory}: has no weights of a hypernetwork; looked for {SAFETENSORS} and {FLAX}.")
    return [existing_file(directory / NETWORK_CONFIG), existing_file(directory / TOKENIZER_JSON), weights[0]]


def read_hypernetwork(directory: Path) -> Hypernetwork:
    """The hypernetwork in ``directory``.

    Raises FocusError for a missing or damaged file, for settings that are not supported, for weights that do not fit
    the settings, and for NaN and infinity.
    """
    config_file, tokenizer, weights = hypernetwork_files(directory)
    config = read_config(config_file)
    tensors = _named(load_safetensors(weights) if weights.name == SAFETENSORS else load_flax(weights))
    vocabulary = read_byte_vocabulary(tokenizer)
    if len(vocabulary.pieces) != config.source + config.extra:
        raise FocusError(
            f"{tokenizer}: has {len(vocabulary.pieces):,} pieces, single bytes included; expected "
            f"{config.source:,} of the model and {config.extra:,} others, as {config_file.name} says."
        )
    return Hypernetwork(config=config, tensors=_checked(weights, config, tensors), vocabulary=vocabulary)


def load_flax(path: Path) -> dict[str, Tensor]:
    """The tensors of Flax's format for weights, MessagePack with arrays, by the names that they have in PyTorch.

    Raises FocusError for a damaged file, and if the package msgpack is not installed.
    """
    try:
        import msgpack
    except ImportError as error:
        raise FocusError(f"{path}: the package msgpack, which reads it, is missing: pip install msgpack.") from error
    try:
        content = msgpack.unpackb(path.read_bytes(), ext_hook=_array)
        return {_pytorch_name(name): _turned(name, tensor) for name, tensor in _flat(content, "")}
    except (ValueError, TypeError, RuntimeError, msgpack.UnpackException) as error:
        raise FocusError(f"{path}: damaged or not weights of Flax ({error}).") from error


def _array(kind: int, data: bytes) -> Tensor:
    import msgpack

    if kind != _ARRAY:
        raise ValueError(f"it holds an object of type {kind}, which is no array")
    shape, name, values = msgpack.unpackb(data, raw=True)
    if name not in _TYPES:
        raise ValueError(f"an array is of type {name!r}")
    return torch.frombuffer(bytearray(values), dtype=_TYPES[name]).reshape(shape)


def _flat(content: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield prefix, content
    elif isinstance(content, dict):
        for name, part in content.items():
            yield from _flat(part, f"{prefix}.{name}" if prefix else str(name))
    else:
        raise ValueError(f"{prefix or 'it'} is no array and has no names")


def _pytorch_name(name: str) -> str:
    name = name.replace("model.embeddings.lang_embedding.", "lang_embeddings.")
    name = re.sub(r"\.layers_(\d+)\.", r".\1.", name)
    return re.sub(r"\.(kernel|scale|embedding)$", ".weight", name)


def _turned(name: str, tensor: Tensor) -> Tensor:
    return tensor.T if name.endswith(".kernel") else tensor  # (inputs, outputs) in Flax


def _named(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` in float32, those of the transformer by fairseq's names.

    A token has no type but the first, whose vector is added to every position's.
    """
    tensors = {name: tensor.float() for name, tensor in tensors.items()}
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith("model.")}
    encoder = from_hugging_face({name: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    if _TOKEN_TYPES in tensors and POSITIONS in encoder:
        encoder[POSITIONS] = encoder[POSITIONS] + tensors[_TOKEN_TYPES][:1]
    return {**own, **encoder}


def _checked(path: Path, config: HypernetworkConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    shapes, positions = expected_tensors(config), tensors.get(POSITIONS)
    if positions is None or positions.ndim != 2 or len(positions) < config.encoder.max_positions:
        raise FocusError(f"{path}: has no table of positions for {config.encoder.max_positions} pieces.")
    shapes[POSITIONS] = (len(positions), config.encoder.width)
    for name, shape in shapes.items():
        if name not in tensors:
            raise FocusError(f"{path}: has no {name}, which a hypernetwork with these settings needs.")
        if tensors[name].shape != shape:
            raise FocusError(f"{path}: {name} has the shape {tuple(tensors[name].shape)}; expected {shape}.")
        if not torch.isfinite(tensors[name]).all():
            raise FocusError(f"{path}: {name} holds NaN or infinity; the file is damaged.")
    return {name: tensors[name] for name in shapes}
