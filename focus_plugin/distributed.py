"""Gives every rank of a training on several devices the same initial weights."""

from collections.abc import Callable, Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from focus_plugin.errors import FocusError

_FAILED, _UNCHANGED, _LOADED = range(3)


def load_on_every_rank(model: nn.Module, compute: Callable[[], Mapping[str, Tensor] | None]) -> None:
    """Load the weights that ``compute`` returns into ``model``; if it returns None, ``model`` is not changed.

    Only rank 0 calls ``compute``. The other ranks, whose models must have the same shape, receive exactly the same
    weights. If ``compute`` raises an exception, rank 0 raises it and all other ranks raise FocusError.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        weights = compute()
        if weights is not None:
            model.load_state_dict(weights)
        return
    outcome, fault = _FAILED, None
    if torch.distributed.get_rank() == 0:
        try:
            weights = compute()
            if weights is not None:
                model.load_state_dict(weights)
            outcome = _UNCHANGED if weights is None else _LOADED
        except Exception as error:  # the other ranks wait for the outcome
            fault = error
    outcome = int(_from_rank_0(torch.tensor(outcome)))
    if outcome == _FAILED:
        raise fault or FocusError("The model could not be initialized; see the message of rank 0.")
    if outcome == _LOADED:
        with torch.no_grad():
            for tensor in chain(model.parameters(), model.buffers()):
                tensor.copy_(_from_rank_0(tensor))


def _from_rank_0(tensor: Tensor) -> Tensor:
    """The ``tensor`` of rank 0. It is sent from and to GPUs if the backend is NCCL."""
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    sent = tensor.detach().to(device, copy=True)
    torch.distributed.broadcast(sent, src=0)
    return sent
