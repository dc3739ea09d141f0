"""The few largest elements of many long rows."""

import torch
from torch import Tensor

GROUP = 64  # elements of a row, of which first only the largest is looked at


def largest_of_rows(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The values and columns of the ``count`` largest elements of each row, the largest first; both (n, count).

    ``scores``: shape (n, m), floating, without NaN, m at least ``count``. They are among the elements of the ``count``
    groups of GROUP elements with the largest maxima, so that only the maxima and these groups are sorted.
    """
    width = scores.shape[1]
    if width < 4 * GROUP * count:
        found = scores.topk(count)
        return found.values, found.indices
    peaks = torch.nn.functional.max_pool1d(scores[:, None], GROUP, ceil_mode=True)[:, 0]
    first = peaks.topk(count).indices * GROUP
    columns = (first[:, :, None] + torch.arange(GROUP, device=scores.device)).flatten(1)
    values = scores.gather(1, columns.clamp(max=width - 1)).masked_fill(columns >= width, -torch.inf)
    best = values.topk(count)
    return best.values, columns.gather(1, best.indices)
