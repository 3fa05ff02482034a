"""`shelfcast forecast`: always an answer, honoured to the day, better than its baseline, in one sentence where it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from training.demand.forecast import forecast, forecast_file
from training.evaluation.metrics import bias, calibration_gap, wape

COLUMNS = ["store_id", "product_id", "ds", "origin", "units", "q0.1", "q0.5", "q0.9", "demand", "note"]
ORIGIN = pd.Timestamp("2024-08-01")


def history(days: int = 240, pairs: int = 60, seed: int = 0) -> pd.DataFrame:
    """Poisson sales with a level of its own a pair, twice as much at weekends and 1.8 times as much under promotion."""
    rng, ds = np.random.default_rng(seed), pd.date_range("2024-01-01", periods=days)
    promoted = rng.random((pairs, days)) < 0.25
    mean = rng.gamma(2, 1.5, (pairs, 1)) * (1 + (ds.dayofweek >= 5)) * np.where(promoted, 1.8, 1.0)
    keys = pd.DataFrame({"store_id": [f"s{i % 4}" for i in range(pairs)], "product_id": [f"p{i // 4}" for i in range(pairs)]})
    frame = keys.loc[keys.index.repeat(days)].reset_index(drop=True)
    units = rng.poisson(mean).ravel().astype(float)
    return frame.assign(ds=np.tile(ds, pairs), units=units, promotion=promoted.ravel().astype(int), mean=mean.ravel())


@pytest.fixture(scope="module")
def sold() -> pd.DataFrame:
    return history()


@pytest.fixture(scope="module")
def answered(sold: pd.DataFrame) -> pd.DataFrame:
    past, later = sold[sold["ds"] <= ORIGIN].drop(columns="mean"), sold[sold["ds"] > ORIGIN]
    return forecast(past, 14, future=later[["store_id", "product_id", "ds", "promotion"]])


def test_a_row_for_every_series_and_step(answered: pd.DataFrame) -> None:
    assert list(answered.columns) == COLUMNS
    assert len(answered) == 60 * 14 and not answered.duplicated(["store_id", "product_id", "ds"]).any()
    assert (answered["origin"] == ORIGIN).all() and answered["ds"].min() == ORIGIN + pd.Timedelta(days=1)
    assert not answered.isna().any().any()
    assert (np.diff(answered[["q0.1", "q0.5", "q0.9"]].to_numpy(), axis=1) >= 0).all() and (answered["q0.1"] >= 0).all()


def test_it_knows_weekends_promotions_and_how_sure_it_is(sold: pd.DataFrame, answered: pd.DataFrame) -> None:
    both = answered.merge(sold, on=["store_id", "product_id", "ds"], suffixes=("", "_sold"))
    truth, found = both["mean"].to_numpy(), both["units"].to_numpy()
    assert wape(truth, found) < 0.16
    assert abs(bias(both["units_sold"].to_numpy(), found)) < 0.05
    lift = both[both["promotion"] == 1]["units"].mean() / both[both["promotion"] == 0]["units"].mean()
    assert 1.5 < lift < 2.1
    for level in (0.1, 0.5, 0.9):
        assert calibration_gap(both["units_sold"].to_numpy(), both[f"q{level:g}"].to_numpy(), level) < 0.05


def test_days_that_the_future_file_lacks_are_told(sold: pd.DataFrame) -> None:
    few = sold[sold["store_id"] == "s0"]
    past, later = few[few["ds"] <= ORIGIN].drop(columns="mean"), few[few["ds"] > ORIGIN][["store_id", "product_id", "ds", "promotion"]]
    lacking = later[later["ds"] != ORIGIN + pd.Timedelta(days=3)]
    lacking = lacking[(lacking["product_id"] != "p1") | (lacking["ds"] > ORIGIN + pd.Timedelta(days=5))]
    notes = forecast(past, 14, future=lacking).groupby("product_id")["note"].unique().str.join("")
    assert notes["p0"] == "no row in the future file for 1 of 14 steps"
    assert notes["p1"] == "no row in the future file for 5 of 14 steps"
    assert (forecast(past, 7, future=later)["note"] == "ok").all()


def test_what_follows_the_origin_changes_nothing() -> None:
    frame = history(150, 8).drop(columns="mean")
    origin = frame["ds"].min() + pd.Timedelta(days=100)
    noise, rng = frame.copy(), np.random.default_rng(5)
    later = noise["ds"] > origin
    noise.loc[later, "units"] = rng.integers(0, 1000, int(later.sum()))
    noise.loc[later, "promotion"] = 0
    first = forecast(frame, 5, origin=origin)
    pd.testing.assert_frame_equal(forecast(noise, 5, origin=f"{origin:%Y-%m-%d}"), first)
    pd.testing.assert_frame_equal(forecast(frame[~later].sample(frac=1, random_state=0), 5), first)


def test_a_stockout_is_not_low_demand() -> None:
    frame = history(200, 16).drop(columns="promotion")
    rng = np.random.default_rng(1)
    empty = rng.random(len(frame)) < 0.3
    shelf = frame.assign(in_stock=np.where(empty, 0.0, 1.0), units=np.where(empty, 0.0, frame["units"])).drop(columns="mean")
    origin = frame["ds"].min() + pd.Timedelta(days=185)
    found = forecast(shelf, 14, origin=origin).merge(frame, on=["store_id", "product_id", "ds"], suffixes=("", "_sold"))
    assert abs(bias(found["mean"].to_numpy(), found["units"].to_numpy())) < 0.12
    blind = forecast(shelf.drop(columns="in_stock"), 14, origin=origin)
    blind = blind.merge(frame, on=["store_id", "product_id", "ds"], suffixes=("", "_sold"))
    assert bias(blind["mean"].to_numpy(), blind["units"].to_numpy()) < -0.15


@pytest.mark.parametrize("days", [1, 2, 7, 20])
def test_short_histories_get_an_answer(days: int) -> None:
    found = forecast(history(days, 3).drop(columns="mean"), 9)
    assert len(found) == 27 and not found.isna().any().any()


@pytest.mark.parametrize("days", [1, 2])
def test_a_history_of_next_to_nothing_with_a_plan_gets_an_answer(days: int) -> None:
    frame = history(days + 5, 2).drop(columns="mean").assign(word="fair")
    last = frame["ds"].min() + pd.Timedelta(days=days - 1)
    found = forecast(frame[frame["ds"] <= last], 5, future=frame[frame["ds"] > last].drop(columns="units"))
    assert len(found) == 10 and not found.isna().any().any()


def test_weekly_zero_ended_and_new_series_get_an_answer() -> None:
    ds = pd.date_range("2023-01-02", periods=60, freq="W-MON")
    rng = np.random.default_rng(0)
    alive = [pd.DataFrame({"store_id": "a", "product_id": p, "ds": ds, "units": rng.poisson(8, 60).astype(float)}) for p in ("x", "y")]
    zeros = pd.DataFrame({"store_id": "a", "product_id": "zero", "ds": ds, "units": 0.0})
    ended = alive[0].assign(product_id="ended")[:20]
    future = pd.DataFrame({"store_id": "a", "product_id": "new", "ds": [ds[-1] + pd.Timedelta(weeks=k) for k in (1, 2)]})
    found = forecast(pd.concat([*alive, zeros, ended]), 3, future=future).set_index("product_id")
    assert set(found.index) == {"x", "y", "zero", "new"}
    assert found.loc["x", "ds"].tolist() == [ds[-1] + pd.Timedelta(weeks=k) for k in (1, 2, 3)]
    assert (found.loc["zero", "units"] < 0.5).all() and (found.loc["zero", "q0.5"] == 0).all()
    assert found.loc["new", "units"].between(2, 12).all()
    assert (found.loc["x", "note"] == "ok").all() and (found.loc["zero", "note"] == "never sold").all()
    assert found.loc["new", "note"].str.startswith("new").all()
    late = forecast(pd.concat([alive[0][:52], zeros]), 2).set_index("product_id")
    assert late.loc["x", "note"].str.startswith("ended").all()


def test_closed_days_sell_nothing() -> None:
    frame = history(200, 6).drop(columns=["mean", "promotion"])
    frame["open"] = (frame["ds"].dt.day != 15).astype(int)
    frame["units"] = frame["units"] * frame["open"]
    later = frame["ds"] > "2024-07-10"
    found = forecast(frame[~later], 10, future=frame[later].drop(columns="units"))
    closed = found["ds"].dt.day == 15
    assert (found.loc[closed, ["units", "q0.9"]] == 0).all().all() and (found.loc[~closed, "units"] > 0).all()


def test_files_in_and_out(tmp_path: Path) -> None:
    frame = history(80, 6).drop(columns="mean")
    frame.to_csv(tmp_path / "h.csv", index=False)
    pd.DataFrame({"product_id": ["p0", "p1"], "category": ["c", "d"]}).to_csv(tmp_path / "i.csv", index=False)
    steps: list[int] = []
    written = forecast_file(
        tmp_path / "h.csv", 3, tmp_path / "out.csv", items=tmp_path / "i.csv", quantiles=(0.05, 0.95),
        progress=lambda done, total, label: steps.append(done),
    )  # fmt: skip
    read = pd.read_csv(tmp_path / "out.csv", parse_dates=["ds", "origin"])
    pd.testing.assert_frame_equal(read, written, check_dtype=False)
    assert list(read.columns) == [*COLUMNS[:5], "q0.05", "q0.95", "demand", "note"]
    assert steps == sorted(steps) and steps[-1] == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"horizon": 0}, "horizon is 0"),
        ({"horizon": 10_000}, "1 to 366"),
        ({"quantiles": (0.5, 1.0)}, "quantiles: 1"),
        ({"quantiles": (0.001, 0.5)}, "quantiles: 0.001 is not a level; expected numbers from 0.005 to 0.995"),
        ({"origin": "9999-12-31"}, "YYYY-MM-DD, 1700 to 2199"),
        ({"origin": "2019-01-01"}, "before the first day"),
        ({"origin": "yesterday-ish"}, "YYYY-MM-DD"),
        ({"origin": "2029-01-01"}, "no series has a row in the 91 days"),
        ({"items": pd.DataFrame({"colour": ["red"]})}, "product_id nor store_id"),
        ({"items": pd.DataFrame({"product_id": ["p0", "p0"]})}, "row 2 repeats"),
        ({"future": pd.DataFrame({"store_id": ["s0"], "ds": ["2024-09-01"]})}, "'product_id' is missing"),
    ],
)
def test_what_cannot_be_used_is_named(change: dict, words: str) -> None:
    frame = history(10, 2).drop(columns="mean")
    with pytest.raises(BadInput, match=words):
        forecast(frame, **{"horizon": 3, **change})


def test_bad_rows_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    frame = history(10, 2).drop(columns="mean")
    frame.loc[4, "units"] = -1
    frame.to_csv(tmp_path / "h.csv", index=False)
    with pytest.raises(BadInput, match=r"h\.csv.*'units', row 5 is -1"):
        forecast_file(tmp_path / "h.csv", 3, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["h.csv"]


def test_series_that_are_silent_are_told(tmp_path: Path) -> None:
    frame = history(200, 4).drop(columns="mean")
    silent = (frame["store_id"] == "s0") & (frame["ds"] > "2024-03-01")
    frame[~silent].to_csv(tmp_path / "h.csv", index=False)
    told: list[str] = []
    forecast_file(tmp_path / "h.csv", 3, tmp_path / "out.csv", tell=told.append)
    assert told == ["1 of 4 series have no row in the 91 days up to the origin and get no forecast"]


def test_a_week_is_known_when_it_is_over() -> None:
    ds = pd.date_range("2023-01-02", periods=30, freq="W-MON")
    frame = pd.DataFrame({"store_id": "a", "product_id": "x", "ds": ds, "units": np.arange(30.0)})
    for known in (1, 20):
        for day in (0, 3, 6):
            found = forecast(frame, 2, origin=ds[known] - pd.Timedelta(days=1) + pd.Timedelta(days=day))
            assert found["ds"].tolist() == [ds[known], ds[known + 1]] and (found["origin"] == ds[known] - pd.Timedelta(days=1)).all()
    # what is written as the origin may be asked for again
    pd.testing.assert_frame_equal(forecast(frame[:20], 2), found)
    with pytest.raises(BadInput, match="first week of the history, which ends on 2023-01-08"):
        forecast(frame, 2, origin="2023-01-07")


@pytest.mark.parametrize(
    "category", [pd.array([1, None], dtype="Int64"), pd.array([True, None], dtype="boolean"), pd.Categorical(["a", None])], ids=str
)
def test_attributes_of_any_type_are_used(category: object) -> None:
    frame = history(30, 5).drop(columns="mean")
    items = pd.DataFrame({"product_id": ["p0", "p1"], "category": category})
    plain = forecast(frame, 2, items=items.assign(category=["a", None]))
    np.testing.assert_allclose(forecast(frame, 2, items=items)["units"], plain["units"])


def test_items_of_no_series_are_told(tmp_path: Path) -> None:
    history(40, 4).drop(columns="mean").to_csv(tmp_path / "h.csv", index=False)
    pd.DataFrame({"product_id": ["p0", "P0", "P1"], "category": "c"}).to_csv(tmp_path / "i.csv", index=False)
    told: list[str] = []
    forecast_file(tmp_path / "h.csv", 2, tmp_path / "o.csv", items=tmp_path / "i.csv", tell=told.append)
    assert any("i.csv: 2 of 3 rows are of no series" in said for said in told)
