"""The only classes, beside tensors and plain values, that a checkpoint of fairseq may ask for when it is loaded.

``torch.load`` runs no code from a file as long as it is left to its default, ``weights_only=True``, but then it
refuses whatever is not on its list. fairseq's files need one class more: ``argparse.Namespace``. XLM-R's and
RoBERTa's releases keep their options in one under ``args``, and so does ``fairseq-train`` to this day under
``cfg["model"]`` for models whose options come from ``add_args``. It is a bag of attributes: to make one and to fill
it runs nothing.

Where training on several devices starts from a checkpoint, rank 0 reads the file and sends what it read to the
others, who load it with ``torch.load`` again. By then fairseq has turned the configuration into omegaconf's
containers and taken the tensors out, and the message needs more:

- ``DictConfig``, ``ListConfig``, ``AnyNode`` and their ``Metadata`` and ``ContainerMetadata``: containers that hold
  values and flags. What they do when restored is to set attributes; an interpolation in them can look up other values
  and environment variables, but call nothing.
- ``defaultdict``, ``dict``, ``list``, ``int`` and ``typing.Any``: in the metadata, as the names of types.
- ``fairseq.distributed.utils._TensorPlaceholder``: in the place of a tensor, a frozen dataclass of one integer.

A file that asks for anything else fails with ``pickle.UnpicklingError`` before anything of it is called.
"""

import argparse
import collections
import os
import typing
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_IN_FILES = (argparse.Namespace,)


@contextmanager
def trusted_globals() -> Iterator[None]:
    """Let ``torch.load`` take the files of fairseq within the block, and leave its list as it was."""
    registered = torch.serialization.get_safe_globals()
    # What is listed already must stay so after the block: torch would strike it off.
    with torch.serialization.safe_globals([item for item in _IN_FILES if item not in registered]):
        yield


def trust_fairseq_checkpoints() -> None:
    """Let ``torch.load`` take the files and messages of fairseq in this process from now on, and nothing else.

    A variable of the environment with which torch would unpickle anything is removed: fairseq leaves torch the choice.
    """
    from fairseq.distributed.utils import _TensorPlaceholder
    from omegaconf import AnyNode, DictConfig, ListConfig
    from omegaconf.base import ContainerMetadata, Metadata

    containers = [DictConfig, ListConfig, AnyNode, ContainerMetadata, Metadata]
    types = [collections.defaultdict, dict, list, int, typing.Any]
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    torch.serialization.add_safe_globals([*_IN_FILES, *containers, *types, _TensorPlaceholder])
