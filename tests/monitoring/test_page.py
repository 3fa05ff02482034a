"""The page says what is well and what is not in words first, needs no network, and shows nothing unescaped."""

from __future__ import annotations

import re
from datetime import date
from xml.etree import ElementTree

import pandas as pd
import pytest

from monitoring.charts import bars, curves, lines
from monitoring.drift import ColumnDrift
from monitoring.page import FamilyView, headline, html
from monitoring.policy import ALERT, NOTHING, RETRAIN, Decision, Reading
from monitoring.windows import windows

DAY = date(2024, 6, 30)


def _view(family: str, action: str = NOTHING, **more) -> FamilyView:
    return FamilyView(family, Reading(DAY, "3"), Decision(action, "the live metric 0.5 is <well>."), "wql", **more)


@pytest.mark.parametrize(
    ("views", "said"),
    [([_view("demand")], "The model is in order."), ([_view("demand"), _view("stock")], "All 2 models are in order."),
     ([_view("demand"), _view("slow_mover", ALERT)], "1 of 2 models needs a look: slow mover."),
     ([_view("demand", RETRAIN), _view("stock", ALERT)], "2 of 2 models need a look: demand, stock.")],
)  # fmt: skip
def test_the_headline_says_what_is_not_in_order(views: list[FamilyView], said: str) -> None:
    assert headline(views) == said
    assert said in html(DAY, views, [])


def test_the_page_is_escaped_self_contained_and_names_the_next_step() -> None:
    drift = [ColumnDrift("price<script>", "wasserstein", 0.5, 0.1, 2000), ColumnDrift("units", "wasserstein", 0.02, 0.1, 2000)]
    accuracy = pd.DataFrame(
        {
            "segment": ["all", "horizon 1", "horizon 2"],
            "metric": "wape",
            "value": [0.5, 0.4, 0.6],
            "n": [20, 10, 10],
            "weight": [2.0, 1.0, 1.0],
        }
    )
    view = _view(
        "demand", RETRAIN, windows=windows(DAY, date(2024, 1, 1)), drift=drift, accuracy=accuracy, numbers={"wql": 0.4, "baseline_wql": 0.5}
    )
    page = html(DAY, [view], ["<b>served</b>"])
    assert "<script" not in page and "<b>served" not in page and "&lt;well&gt;" in page
    assert not re.search(r"(src|href)=[\"']https?:", page)
    assert "shelfcast train demand" in page
    assert "the history is younger than a year" in page
    assert page.index("needs a look") < page.index("price&lt;script&gt; drifted") < page.index("<svg")


def test_what_service_costs_is_drawn_for_all_and_a_category_and_told_in_money() -> None:
    points = pd.DataFrame([(name, level, value * scale, served) for name, scale in (("all", 10.0), ("dairy & eggs", 1.0))
                           for level, value, served in ((0.9, 80.0, 0.97), (0.95, 100.0, 0.985), (0.99, 150.0, 0.998))],
                          columns=["group", "service_level", "stock_value", "fill_rate"])  # fmt: skip
    page = html(DAY, [_view("stock")], [], points)
    drawn = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    lines_ = [line.attrib["points"] for line in drawn.iter("polyline")]
    # both take the same share more of their own stock
    assert len(lines_) == 2 and lines_[0] == lines_[1] and "dairy &amp; eggs" in page
    assert "1,500.00" in page and "150.00" not in page.replace("1,500.00", "")
    assert "What service costs" not in html(DAY, [_view("stock")], [])
    assert curves("x", "y", []) == ""


def test_charts_are_well_formed_and_mark_what_is_over_its_limit() -> None:
    drawn = ElementTree.fromstring(bars([("a & b", 0.3, 0.1), ("c", 0.05, 0.1)]))
    kinds = [rect.attrib["class"] for rect in drawn.iter("rect")]
    widths = [float(rect.attrib["width"]) for rect in drawn.iter("rect")]
    limit = float(next(drawn.iter("line")).attrib["x1"]) - float(next(drawn.iter("rect")).attrib["x"])
    assert kinds == ["bad", "good"]
    assert widths[0] == pytest.approx(3 * limit, rel=0.01) and widths[1] == pytest.approx(0.5 * limit, rel=0.01)
    line = ElementTree.fromstring(lines("wape", ["1", "2", "3"], [("wape", [0.1, 0.2, 0.4]), ("wql", [0.1, 0.1, -0.1])]))
    assert len(list(line.iter("polyline"))) == 2
    assert bars([]) == "" and lines("x", [], []) == ""
