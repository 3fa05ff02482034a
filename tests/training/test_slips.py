"""A slip of the year in one row is told by every verb that reads a history; a placeholder of long ago is only an old row."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from infra.errors import BadInput
from training.anomaly.detect import detect
from training.demand.forecast import forecast
from training.recommend.recommend import recommend
from training.slow_mover.classify import slow_movers
from training.stock import plan

DAYS = pd.date_range("2024-01-01", periods=60)


def history(slip: str) -> pd.DataFrame:
    frame = pd.DataFrame({"store_id": "s", "product_id": "p", "ds": DAYS, "units": 3.0})
    return pd.concat([frame, frame.iloc[:1].assign(ds=pd.Timestamp(slip))], ignore_index=True)


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    return plan(frame, pd.DataFrame({"store_id": ["s"], "product_id": ["p"], "on_hand": [1.0]}))


def offered(frame: pd.DataFrame) -> pd.DataFrame:
    return recommend(frame.assign(customer_id="c", basket_id=[str(n) for n in range(len(frame))]).drop(columns="store_id"), 2)


VERBS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "forecast": lambda frame: forecast(frame, 3),
    "order": ordered,
    "recommend": offered,
    "detect": detect,
    "slow-movers": lambda frame: slow_movers(frame, None, frame["ds"].max()),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_slip_of_the_year_is_told(verb: str) -> None:
    with pytest.raises(
        BadInput, match=r"column 'ds', row 61 is 2042-01-05, \d,\d+ days after the day before it, 2024-02-29; expected at most 366"
    ):
        VERBS[verb](history("2042-01-05"))


@pytest.mark.parametrize(("verb", "column"), [("forecast", "units"), ("order", "order_units"), ("recommend", "rank")])
def test_a_placeholder_of_long_ago_is_only_an_old_row(verb: str, column: str) -> None:
    answered, plain = (VERBS[verb](rows)[column].tolist() for rows in (history("1900-01-01"), history("2024-03-01").iloc[:60]))
    assert answered == pytest.approx(plain, rel=0.05)
