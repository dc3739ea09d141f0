"""The largest elements of rows against a sort."""

import pytest
import torch

from focus_plugin.mixing.largest import GROUP, largest_of_rows


@pytest.mark.parametrize("width", [10, 63, 40 * GROUP, 40 * GROUP + 1, 5000, 81 * GROUP - 1])
@pytest.mark.parametrize("count", [1, 3, 10])
@pytest.mark.parametrize("levels", [3, 10**6])
def test_as_a_sort_also_with_equal_elements(width, count, levels):
    draw = torch.Generator().manual_seed(width)
    scores = torch.randint(-levels, levels, (7, width), generator=draw).float()
    scores[0] = -torch.arange(width).float()
    scores[1] = torch.arange(width).float()
    values, columns = largest_of_rows(scores, count)
    torch.testing.assert_close(values, scores.sort(1, descending=True).values[:, :count], atol=0, rtol=0)
    torch.testing.assert_close(scores.gather(1, columns), values, atol=0, rtol=0)
    assert all(len(set(row)) == count for row in columns.tolist())
