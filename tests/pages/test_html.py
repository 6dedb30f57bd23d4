"""Report pages: self-contained, escaped, valid XML inside, and robust to odd numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from emolab.pages import charts, svg_elements
from emolab.pages.html import Section, Thumbnail, Tile, gallery, page, table
from emolab.pages.svg_elements import Series

PNG = b"\x89PNG\r\n\x1a\n"


def svg(markup: str) -> ElementTree.Element:
    found = re.search(r"<svg.*</svg>", markup, re.DOTALL)
    assert found
    return ElementTree.fromstring(found[0])


def test_a_page_loads_nothing_and_escapes_everything() -> None:
    made = page(
        "<script>alert(1)</script>",
        [Section(title="<b>", body=table(["<i>"], [["<u>"]]) + gallery([Thumbnail(image=PNG, title='"><script>')]))],
        tiles=[Tile(label="<x>", value="<y>")],
    )
    assert "<script>" not in made
    assert "http" not in made
    assert not re.search(r'(src|href)="(?!data:)', made)
    assert "prefers-color-scheme:dark" in made


@pytest.mark.parametrize(
    "series",
    [
        Series(name="one point", x=[1], y=[0.5]),
        Series(name="flat", x=[1, 2], y=[0.0, 0.0]),
        Series(name="band", x=[1, 2, 3], y=[0.1, 0.2, 0.3], low=[0, 0.1, 0.2], high=[0.2, 0.3, 0.4]),
        Series(name="huge & <odd>", x=[1e6, 2e6], y=[1e9, -1e9]),
        Series(name="gap", x=[1, 2, 3], y=[1.0, float("nan"), 2.0]),
    ],
)
def test_curves_are_drawn_for_any_numbers(series: Series) -> None:
    markup = charts.line([series, series], x_label="x & y", y_label="<score>")
    assert "nan" not in markup
    assert svg(markup).findall("polyline")


def test_nothing_to_draw_is_said() -> None:
    assert "Nothing to draw yet" in charts.line([], x_label="x", y_label="y")
    flat = Series(name="flat", x=[0.0, 1.0], y=[0.3153963477, 0.3153963477 + 1e-16], color=1)
    assert "nan" not in charts.line([flat], x_label="x", y_label="y")
    assert "Nothing to draw yet" in charts.heatmap([], [], [])


def test_a_heatmap_has_one_cell_per_pair_and_says_the_share() -> None:
    markup = charts.heatmap([[3, 1], [0, 0]], ["a<", "b"], ["a<", "b"])
    assert len(svg(markup).findall("rect")) == 4
    assert "a&lt; called b: 1 (25%)" in markup


def test_reliability_draws_a_bar_and_its_gap_per_bin() -> None:
    bins = [{"low": 0.6, "confidence": 0.65, "accuracy": 0.5, "count": 10.0}]
    drawn = svg(charts.reliability(bins, title="t", note="n"))
    assert len(drawn.findall("rect")) == 2


def test_bars_show_names_values_and_a_second_row() -> None:
    drawn = svg(charts.bars({"happy": 3.0, "sad": 0.0}, second={"happy": 1.0}))
    assert len(drawn.findall("rect")) == 4


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.3, 0.31), (-5, 5), (0, 12345)])
def test_ticks_are_round_and_cover_the_range(low: float, high: float) -> None:
    ticks = svg_elements.ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 3 <= len(ticks) <= 12


def test_on_a_logarithmic_axis_every_doubling_takes_the_same_room() -> None:
    series = svg_elements.Series(name="random", x=[100, 200, 400, 800], y=[0.1, 0.2, 0.3, 0.4])
    markup = charts.line([series], x_label="votes", y_label="accuracy", log_x=True)
    points = svg(markup).find("polyline").get("points").split()  # type: ignore[union-attr]
    places = [float(point.partition(",")[0]) for point in points]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    assert places[1] - places[0] == pytest.approx(places[3] - places[2], abs=0.2)
    assert all(f">{tick}</text>" in markup for tick in (100, 200, 500))
    assert svg_elements.log_ticks(30, 2000) == [50, 100, 200, 500, 1000, 2000]
    assert svg_elements.log_ticks(1, 100000) == [1, 10, 100, 1000, 10000, 100000]
    alone = charts.line([svg_elements.Series(name="a", x=[50], y=[0.5])], x_label="x", y_label="y", log_x=True)
    assert len(svg(alone).findall("circle")) == 1
