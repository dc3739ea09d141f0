"""The only classes, beside tensors and plain values, that a checkpoint of fairseq may ask for when it is loaded.

``torch.load`` runs no code from a file as long as it is left to its default, ``weights_only=True``, but then it
refuses whatever is not on its list. fairseq's files need this much more:

- ``argparse.Namespace``: XLM-R's and RoBERTa's releases keep their options in one under ``args``, and so does
  ``fairseq-train`` to this day under ``cfg["model"]`` for models whose options come from ``add_args``. It is a bag
  of attributes; making one and filling it runs nothing.
- ``fairseq.distributed.utils._TensorPlaceholder``: not in files, but in the messages in which rank 0 hands a
  checkpoint to the other ranks when a run on several devices resumes. A frozen dataclass of one integer.

A file that asks for anything else fails with ``pickle.UnpicklingError`` before anything of it is called.
"""

import argparse
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
    """Let ``torch.load`` take the files and messages of fairseq in this process from now on."""
    from fairseq.distributed.utils import _TensorPlaceholder

    torch.serialization.add_safe_globals([*_IN_FILES, _TensorPlaceholder])
