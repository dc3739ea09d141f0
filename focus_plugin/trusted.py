"""The allow-list of classes that a fairseq checkpoint may contain, besides tensors and plain values.

With ``weights_only=True``, its default, ``torch.load`` runs no code from a file and refuses every class that is not on
its allow-list. fairseq's files need one more class, ``argparse.Namespace``. The releases of XLM-R and RoBERTa have
their options in a Namespace under ``args``. Today's ``fairseq-train`` still writes one under ``cfg["model"]`` for
models whose options come from ``add_args``. A Namespace only has attributes. Creating and filling it runs no code from
the file.

If training on several devices starts from a checkpoint, rank 0 reads the file and sends its content to the other ranks,
which load it with ``torch.load``. fairseq has then converted the configuration to omegaconf's containers and removed
the tensors. So the other ranks need more classes:

- ``DictConfig``, ``ListConfig``, ``AnyNode`` and their ``Metadata`` and ``ContainerMetadata``: containers of values and
  flags. Restoring one only sets attributes. An interpolation in it can read other values and environment variables,
  but cannot call anything.
- ``defaultdict``, ``dict``, ``list``, ``int`` and ``typing.Any``: the metadata contain them as names of types.
- ``fairseq.distributed.utils._TensorPlaceholder``: a frozen dataclass of one integer in place of a tensor.

For a file with any other class, ``torch.load`` raises ``pickle.UnpicklingError`` before it calls anything.
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
    """Allow ``torch.load`` to load fairseq's files in the block; afterwards the allow-list is as before."""
    registered = torch.serialization.get_safe_globals()
    # After the block, torch removes the classes that it is given here, so those already on the list are left out.
    with torch.serialization.safe_globals([item for item in _IN_FILES if item not in registered]):
        yield


def trust_fairseq_checkpoints() -> None:
    """Allow ``torch.load`` to load fairseq's files, and its messages between ranks, in this process from now on.

    fairseq does not set ``weights_only``. So the environment variable with which torch would load any class is removed.
    """
    from fairseq.distributed.utils import _TensorPlaceholder
    from omegaconf import AnyNode, DictConfig, ListConfig
    from omegaconf.base import ContainerMetadata, Metadata

    containers = [DictConfig, ListConfig, AnyNode, ContainerMetadata, Metadata]
    types = [collections.defaultdict, dict, list, int, typing.Any]
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    torch.serialization.add_safe_globals([*_IN_FILES, *containers, *types, _TensorPlaceholder])
