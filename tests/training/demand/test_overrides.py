"""A planner's overrides: who wins where, what stays of the model, and what they turned out to be worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from tests.training.demand.test_forecast import history
from training.demand.forecast import forecast_file
from training.demand.overrides import overridden, read_overrides, unused, value_added, value_added_file

DAYS = pd.date_range("2024-09-01", periods=3)


def forecasts() -> pd.DataFrame:
    keys = pd.DataFrame({"store_id": ["a", "a", "b"], "product_id": ["x", "y", "x"], "units": [4.0, 0.0, 2.0]})
    frame = keys.merge(DAYS.to_frame(index=False, name="ds"), how="cross").assign(origin=pd.Timestamp("2024-08-31"))
    return frame.assign(**{"q0.1": frame["units"] / 2, "q0.9": frame["units"] * 2, "demand": frame["units"] * 1.5, "note": "ok"})


def change(**more: object) -> dict:
    return {"since": DAYS[0], "until": DAYS[-1], "who": "ann", "why": "fair", "store_id": None, "product_id": None,
            "units": np.nan, "factor": np.nan, **more}  # fmt: skip


def test_the_last_one_that_holds_wins_and_the_model_stays_beside_it() -> None:
    changes = pd.DataFrame(
        [change(product_id="x", factor=2), change(store_id="a", product_id="x", units=9, since=DAYS[2], who="bo", why="delisting y")]
    )
    found = overridden(forecasts(), changes)
    assert found["units"].tolist() == [8, 8, 9, 0, 0, 0, 4, 4, 4]
    assert found["model_units"].tolist() == forecasts()["units"].tolist()
    assert found["override"].tolist() == ["ann: fair", "ann: fair", "bo: delisting y", "", "", "", *["ann: fair"] * 3]
    np.testing.assert_allclose(found["q0.9"], 2 * found["units"])
    np.testing.assert_allclose(found["q0.1"], found["units"] / 2)
    np.testing.assert_allclose(found["demand"], 1.5 * found["units"])


def test_units_where_the_model_saw_none_have_no_spread() -> None:
    found = overridden(forecasts(), pd.DataFrame([change(product_id="y", units=5)]))
    assert (found.loc[found["product_id"] == "y", ["units", "q0.1", "q0.9"]] == 5).all().all()


def test_value_added_is_the_error_that_was_saved() -> None:
    changes = pd.DataFrame([change(product_id="x", store_id="a", factor=2), change(store_id="b", units=0, why="closed")])
    said = overridden(forecasts(), changes)
    sold = forecasts()[["store_id", "product_id", "ds"]].assign(units=[7.0, 7, 99, 0, 0, 0, 2, 2, 2], in_stock=1.0)
    sold.loc[2, "in_stock"] = 0.5  # a day that sold out judges nobody
    found = value_added(said, sold).set_index("override")
    assert list(found.index) == ["ann: closed", "ann: fair", "all"]
    assert found.loc["ann: fair", ["rows", "value_added"]].tolist() == [2, 2 * (3 - 1)]
    assert found.loc["ann: closed", ["rows", "value_added"]].tolist() == [3, 3 * (0 - 2)]
    assert found.loc["all", "value_added"] == -2
    assert found.loc["ann: fair", "model_wape"] == pytest.approx(3 / 7) and found.loc["ann: fair", "wape"] == pytest.approx(1 / 7)
    assert found.loc["ann: closed", "bias"] == -1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "row 1 has units and factor, or neither"),
        ({"units": 1, "factor": 1}, "row 1 has units and factor, or neither"),
        ({"units": -1}, "'units', row 1 is -1"),
        ({"units": 1, "until": pd.Timestamp("2024-01-01")}, "row 1 ends before it begins"),
        ({"units": 1, "who": None}, "'who', row 1 is blank"),
    ],
)
def test_what_is_no_override_is_named(tmp_path: Path, more: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        overridden(forecasts(), pd.DataFrame([change(**more)]))
    pd.DataFrame([change(**more)]).to_csv(tmp_path / "o.csv", index=False)
    with pytest.raises(BadInput, match=rf"overrides file .*o\.csv.*{words}"):
        read_overrides(tmp_path / "o.csv")


def test_from_file_to_file(tmp_path: Path) -> None:
    frame = history(90, 4).drop(columns=["mean", "promotion"])
    last = frame["ds"].max()
    frame[frame["ds"] <= last - pd.Timedelta(days=7)].to_csv(tmp_path / "h.csv", index=False)
    frame.to_csv(tmp_path / "later.csv", index=False)
    rows = [change(store_id="s1", factor=10, since=last - pd.Timedelta(days=2), until=last)]
    pd.DataFrame(rows).to_csv(tmp_path / "changes.csv", index=False)
    forecast_file(tmp_path / "h.csv", 7, tmp_path / "f.csv", overrides=tmp_path / "changes.csv")
    found = value_added_file(tmp_path / "f.csv", tmp_path / "later.csv", tmp_path / "v.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "v.csv"), found, check_dtype=False)
    assert found["rows"].tolist() == [3, 3] and (found["value_added"] < 0).all() and (found["wape"] > found["model_wape"]).all()


def test_an_override_that_holds_nowhere_is_told() -> None:
    changes = pd.DataFrame([change(product_id="x", factor=2), change(product_id="0x", factor=2, why="typo")])
    assert unused(forecasts(), changes) == ["override 2 (ann: typo) holds for no forecast: no row has its keys and lies in its days"]
