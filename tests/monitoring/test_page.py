"""The page says what is well and what is not in words first, needs no network, and shows nothing unescaped."""

from __future__ import annotations

import re
from datetime import date
from xml.etree import ElementTree

import pandas as pd
import pytest

from monitoring.charts import bars, lines
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
    accuracy = pd.DataFrame({"segment": ["all", "horizon 1", "horizon 2"], "metric": "wape", "value": [0.5, 0.4, 0.6], "n": [20, 10, 10]})
    view = _view(
        "demand", RETRAIN, windows=windows(DAY, date(2024, 1, 1)), drift=drift, accuracy=accuracy, numbers={"wql": 0.4, "baseline_wql": 0.5}
    )
    page = html(DAY, [view], ["<b>served</b>"])
    assert "<script" not in page and "<b>served" not in page and "&lt;well&gt;" in page
    assert not re.search(r"(src|href)=[\"']https?:", page)
    assert "shelfcast train demand" in page
    assert "the history is younger than a year" in page
    assert page.index("needs a look") < page.index("price&lt;script&gt; drifted") < page.index("<svg")


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
