"""Windows of a text that is longer than a model reads."""

from itertools import accumulate, pairwise

from focus_export.piece_windows import piece_windows
from hypothesis import given
from hypothesis import strategies as st


@given(sizes=st.lists(st.integers(1, 30), max_size=60), room=st.integers(1, 20))
def test_every_piece_is_kept_in_the_window_with_more_context(sizes: list[int], room: int) -> None:
    windows, total = piece_windows(sizes, room), sum(sizes)
    edges = {0, *accumulate(sizes)}
    inner = {
        edge + part for edge, size in zip([0, *accumulate(sizes)], sizes, strict=False) for part in range(0, size, room)
    }
    assert [piece for window in windows for piece in range(window.kept_start, window.kept_end)] == list(range(total))
    for window in windows:
        assert window.start <= window.kept_start <= window.kept_end <= window.end <= window.start + room
        assert {window.start, window.end, window.kept_start, window.kept_end} <= edges | inner
    assert (windows[0].start, windows[-1].end) == (0, total)
    assert len(windows) == 1 or total > room
    for one, other in pairwise(windows):
        assert one.start < other.start <= one.kept_end == other.kept_start <= one.end < other.end
        assert one.end - other.start <= room // 4


def test_words_of_one_piece_overlap_by_a_quarter() -> None:
    windows = piece_windows([1] * 20, 8)
    assert [(window.start, window.end, window.kept_start, window.kept_end) for window in windows] == [
        (0, 8, 0, 7),
        (6, 14, 7, 13),
        (12, 20, 13, 20),
    ]
