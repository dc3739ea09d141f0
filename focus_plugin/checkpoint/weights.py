"""Reads tensors, memory-mapped, from files that need not be trusted: no code in them is run."""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from focus_plugin.errors import FocusError, first_line
from focus_plugin.files import require_utf8_name
from focus_plugin.trusted import trusted_globals


def load_pickled(path: Path) -> Any:
    """What ``torch.save`` wrote, with tensors memory-mapped if the format allows it.

    Only tensors, plain values and the classes of fairseq's configurations are loaded. Raises FocusError for a missing
    or damaged file and for one that asks for anything else.
    """
    if not require_utf8_name(path).is_file():
        raise FocusError(f"{path}: no such file.")
    try:
        with trusted_globals():
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        if wanted := re.search(r"GLOBAL (\S+)", str(error)):
            raise FocusError(
                f"{path}: refused. The file asks for {wanted[1]}, which no checkpoint needs; loading it could run any "
                "code of its author."
            ) from error
        raise FocusError(f"{path}: damaged or not a PyTorch checkpoint.") from error
    except Exception as error:  # a damaged or hostile file can make the unpickler raise anything
        raise FocusError(f"{path}: damaged or not a PyTorch checkpoint ({first_line(error)}).") from error


def named_tensors(path: Path, loaded: object) -> dict[str, Tensor]:
    """``loaded``, the content of ``path``, as tensors by name. Scalars are left out, since no encoder has any.

    Raises FocusError if it is anything else, and for a tensor that is sparse, nested or on the device "meta".
    """
    if not isinstance(loaded, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in loaded.items()
    ):
        raise FocusError(f"{path}: holds no weights; expected a mapping from names to tensors.")
    for name, tensor in loaded.items():
        if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.is_nested:
            raise FocusError(f"{path}: {name} is not a dense tensor; expected one with all its numbers in the file.")
    return {name: tensor for name, tensor in loaded.items() if tensor.ndim}


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, memory-mapped. Raises FocusError for a missing or damaged file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return named_tensors(path, load_file(require_utf8_name(path)))
    except (SafetensorError, OSError) as error:
        raise FocusError(f"{path}: missing, damaged or not a safetensors file ({first_line(error)}).") from error
