"""What is said of finished runs: the order, the means, the recommendation, and the page."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from comparison_rows import make_row

from focus_plugin.comparison.chart import Line, line_chart
from focus_plugin.comparison.page import write_page
from focus_plugin.comparison.results import recommendation, results
from focus_plugin.comparison.table import COLUMNS, markdown, plain

CLEAR = [
    make_row("random", seed=1, loss=5.6),
    make_row("random", seed=2, loss=5.4),
    make_row("focus", seed=2, loss=5.1),
    make_row("focus", seed=1, loss=5.3),
]


def test_the_lowest_mean_is_recommended_with_its_figures():
    first, second = results(CLEAR)
    assert (first.start, second.start) == ("focus", "random")
    assert [row.seed for row in first.rows] == [1, 2]
    assert (first.loss, first.before) == (pytest.approx(5.2), pytest.approx(6.2))
    assert (first.third, first.two_thirds) == (pytest.approx(5.7), pytest.approx(5.4))
    assert first.deviation == pytest.approx(0.2 / 2**0.5)
    assert first.seconds == 12
    assert second.behind[0] == pytest.approx(0.3)
    assert (first.best, second.best, second.worse) == (pytest.approx(1), pytest.approx(0), pytest.approx(1))
    assert recommendation([first, second]).startswith("Recommended: --start focus with --recipe adapt, 5.200 nats. ")
    assert "> 0.99" in recommendation([first, second])


def test_an_uncertain_difference_is_called_so():
    found = results([make_row("a", loss=5.0, blocks=(1.3, 0.7)), make_row("b", loss=5.1, blocks=(0.7, 1.3))])
    assert found[1].worse == pytest.approx(3 / 4, abs=0.01)  # only two draws of the second block reverse the order
    said = recommendation(found)
    assert "That is not certain" in said
    assert "only one random seed" in said


def test_unequal_amounts_of_text_are_told():
    rows = [make_row("a"), replace(make_row("b"), tokens=2000)]
    assert "read from 1,000 to 2,000 tokens" in recommendation(results(rows))
    assert "tokens" not in recommendation(results(CLEAR))


def test_the_curve_is_read_where_it_was_validated():
    first, *_ = results([replace(make_row(), updates=100, curve={"40": 3.0, "80": 2.0, "100": 1.0})])
    assert (first.third, first.two_thirds) == (3, 2)
    short, *_ = results([replace(make_row(), updates=100, curve={"20": 3.0})])
    assert (short.third, short.two_thirds) == (3, 3)


def test_tables_have_a_cell_for_each_column():
    head, rule, *lines = (line for line in markdown(results(CLEAR)).splitlines() if line.startswith("|"))
    assert {line.count("|") for line in (head, rule, *lines)} == {len(COLUMNS) + 1}
    assert len(lines) == 2
    shown = list(plain(results(CLEAR)))
    ends = {re.search(name, line).end() for name, line in zip(("behind", "", "0.300"), shown, strict=True) if name}
    assert len(ends) == 1


def test_the_page_has_a_line_for_each_pair_and_no_address(tmp_path: Path):
    rows = [*CLEAR, make_row("focus", "<hot & cold>", loss=6)]
    for name in ("one", "two"):
        write_page(tmp_path / f"{name}.html", "sw <i>", results(rows))
    page = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert page == (tmp_path / "two.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|src=|url\(|@import|<script|style=|<i>|<hot", page)
    chart = ElementTree.fromstring(re.search(r"<svg viewBox.*?</svg>", page, re.DOTALL)[0])
    titles = [title.text for title in chart.iter("title")]
    assert {title: titles.count(title) for title in titles} == {
        "focus, adapt": 3,
        "random, adapt": 3,
        "focus, <hot & cold>": 1,
    }


def test_points_stand_where_their_values_are():
    svg = ElementTree.fromstring(
        line_chart(
            [Line(name="x", colour=0, dash=0, points=[(0, 7), (50, 5), (100, 6)])], x_title="", y_title="", title=""
        )
    )
    points = re.findall(r"([\d.]+) ([\d.]+)", next(path for path in svg if path.find("title") is not None).get("d"))
    (x0, top), (x1, bottom), (x2, middle) = [(float(x), float(y)) for x, y in points]
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert middle == pytest.approx((top + bottom) / 2, abs=0.2)
    ticks = {text.text: float(text.get("y")) for text in svg if text.get("text-anchor") == "end"}
    assert ticks["7"] == pytest.approx(top)
    assert ticks["5"] == pytest.approx(bottom)
