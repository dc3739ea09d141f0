"""The same first weights on every rank of a training on several devices."""

from collections.abc import Callable, Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from focus_plugin.errors import FocusError

_FAILED, _UNCHANGED, _LOADED = range(3)


def load_on_every_rank(model: nn.Module, compute: Callable[[], Mapping[str, Tensor] | None]) -> None:
    """Load into ``model`` what ``compute`` returns, or leave it as it is where that is None.

    Only rank 0 computes; the others, whose models must be of the same shape, receive the very bytes. What
    ``compute`` raises is raised on rank 0, and a FocusError on the others.
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
        except Exception as error:  # the others wait for an answer, whatever went wrong
            fault = error
    outcome = int(_from_rank_0(torch.tensor(outcome)))
    if outcome == _FAILED:
        raise fault or FocusError("The model could not be initialized; the message of rank 0 says why.")
    if outcome == _LOADED:
        with torch.no_grad():
            for tensor in chain(model.parameters(), model.buffers()):
                tensor.copy_(_from_rank_0(tensor))


def _from_rank_0(tensor: Tensor) -> Tensor:
    """Rank 0's ``tensor``, carried by way of the GPU where the ranks talk through NCCL."""
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    carried = tensor.detach().to(device, copy=True)
    torch.distributed.broadcast(carried, src=0)
    return carried
