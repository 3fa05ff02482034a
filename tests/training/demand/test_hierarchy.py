"""Sums of forecasts: coherent, with quantiles that know what series have in common, and reconciled by least squares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_repo.panel import from_frame
from infra.errors import BadInput
from training.demand.covariates import Covariates
from training.demand.forecast import forecast_file
from training.demand.forecaster import Forecaster
from training.demand.hierarchy import _panel_of_sums, adjusted, levels_of, matrix, reconciled, summed
from training.demand.history_file import bring

QUANTILES = (0.1, 0.5, 0.9)
LEVELS = "total,store_id,store_id+category"
ITEMS = pd.DataFrame({"product_id": [f"p{i}" for i in range(12)], "category": ["a", "b", None] * 4})


def together(days: int = 330, seed: int = 0) -> pd.DataFrame:
    """4 stores x 12 products; each day all of a store sells more or less (lognormal of 0.3), and each series on its own."""
    rng, ds = np.random.default_rng(seed), pd.date_range("2024-01-01", periods=days)
    keys = pd.DataFrame({"store_id": np.repeat([f"s{i}" for i in range(4)], 12), "product_id": [f"p{i}" for i in range(12)] * 4})
    common = np.exp(0.3 * rng.standard_normal((4, days)) - 0.045).repeat(12, axis=0)
    units = rng.poisson(rng.gamma(4, 1.5, (48, 1)) * common).astype(float)
    frame = keys.loc[keys.index.repeat(days)].reset_index(drop=True)
    return frame.assign(ds=np.tile(ds, 48), units=units.ravel())


@pytest.fixture(scope="module")
def sold() -> pd.DataFrame:
    return together()


@pytest.fixture(scope="module")
def forecaster(sold: pd.DataFrame) -> Forecaster:
    return Forecaster.learn(bring(sold[sold["ds"] < "2024-10-29"], 28, items=ITEMS), 28)


def means(forecaster: Forecaster) -> np.ndarray:
    return forecaster.answer([])["units"].to_numpy().reshape(-1, 28)


def test_sums_are_coherent_and_their_quantiles_know_what_is_common(sold: pd.DataFrame, forecaster: Forecaster) -> None:
    levels = levels_of(LEVELS, forecaster.covariates.panel, forecaster.series)
    found = summed(forecaster, levels, means(forecaster), QUANTILES)
    series = forecaster.answer([]).merge(ITEMS, on="product_id")
    for name, by in (("total", ["ds"]), ("store_id", ["store_id", "ds"])):
        expected = series.groupby(by)["units"].sum().to_numpy()
        np.testing.assert_allclose(found.loc[found["level"] == name, "units"], expected)
    both = found[found["level"] == "store_id+category"].pivot_table(index="member", values="units", aggfunc="sum")["units"]
    named = series.assign(member=series["store_id"] + "+" + series["category"].fillna("")).groupby("member")["units"].sum()
    np.testing.assert_allclose(both.sort_index(), named.sort_index())
    # Poisson sums of a store would lie within a few percent of their mean: nine of ten days would fall outside
    actual = sold.groupby(["store_id", "ds"])["units"].sum().rename("sold").reset_index().rename(columns={"store_id": "member"})
    stores = found[found["level"] == "store_id"].merge(actual, on=["member", "ds"])
    inside = ((stores["sold"] >= stores["q0.1"]) & (stores["sold"] <= stores["q0.9"])).mean()
    assert len(stores) == 4 * 28 and 0.7 < inside < 0.93
    assert (np.diff(found[["q0.1", "q0.5", "q0.9"]].to_numpy(), axis=1) >= 0).all()


def test_the_least_moves_are_those_of_the_formula() -> None:
    """Against MinT as it is written, S (S' W^-1 S)^-1 S' W^-1 y, with a diagonal W."""
    rng = np.random.default_rng(0)
    facts = pd.DataFrame({"store_id": list("aabb"), "product_id": list("xyxy")})
    panel = from_frame(facts.assign(ds=pd.Timestamp("2024-01-01"), units=1.0))
    levels = levels_of("total,store_id", panel, np.arange(4))
    above, below = rng.gamma(9, 1, (3, 5)) + 20, rng.gamma(9, 1, (4, 5)) + 5
    spread, spread_above = rng.gamma(2, 1, 4), rng.gamma(2, 3, 3)
    summing = np.vstack([matrix(levels).toarray(), np.eye(4)])
    weight = np.diag(1 / np.concatenate([spread_above, spread]))
    expected = np.linalg.solve(summing.T @ weight @ summing, summing.T @ weight @ np.vstack([above, below]))
    np.testing.assert_allclose(adjusted(below, above, matrix(levels), spread, spread_above), expected)


def test_what_is_0_stays_and_nothing_falls_below() -> None:
    panel = from_frame(pd.DataFrame({"store_id": "a", "product_id": list("xyz"), "ds": pd.Timestamp("2024-01-01"), "units": 1.0}))
    total = matrix(levels_of("total", panel, np.arange(3)))
    found = adjusted(np.array([[0.0], [1.0], [9.0]]), np.array([[2.0]]), total, np.array([5.0, 50.0, 1.0]), np.array([0.1]))
    assert found[0] == 0 and found[1] == 0 and found[2] > 8


def test_reconciled_means_go_toward_the_sums_own_forecast(forecaster: Forecaster) -> None:
    levels = levels_of("total", forecaster.covariates.panel, forecaster.series)
    before = means(forecaster)
    after = reconciled(forecaster, levels, before)
    sums = Forecaster.of(Covariates.of(_panel_of_sums(forecaster, levels)), np.arange(1), 28)
    own = sums.answer([])["units"].to_numpy()
    assert (after >= 0).all() and np.abs(own - before.sum(axis=0)).max() > 0.5
    moved = (after.sum(axis=0) - before.sum(axis=0)) / (own - before.sum(axis=0))
    assert ((moved > 0) & (moved < 1)).all()


def test_files_agree_with_each_other(tmp_path: Path) -> None:
    frame = together(120)
    frame.to_csv(tmp_path / "h.csv", index=False)
    ITEMS.to_csv(tmp_path / "i.csv", index=False)
    pd.DataFrame(
        [{"store_id": "s1", "since": "2024-04-30", "until": "2024-05-02", "factor": 3, "who": "ann", "why": "fair"}]
    ).to_csv(tmp_path / "o.csv", index=False)  # fmt: skip
    forecast_file(
        tmp_path / "h.csv", 7, tmp_path / "f.csv", items=tmp_path / "i.csv", levels="store_id,category", levels_out=tmp_path / "l.csv",
        reconcile=True, overrides=tmp_path / "o.csv",
    )  # fmt: skip
    series, sums = pd.read_csv(tmp_path / "f.csv"), pd.read_csv(tmp_path / "l.csv")
    of_stores = sums[sums["level"] == "store_id"].set_index(["member", "ds"])["units"]
    expected = series.groupby(["store_id", "ds"])["units"].sum()
    np.testing.assert_allclose(of_stores.sort_index(), expected.sort_index())
    assert list(sums.columns) == ["level", "member", "ds", "origin", "units", "q0.1", "q0.5", "q0.9"]
    changed = series[series["override"].notna()]
    assert len(changed) == 12 * 3 and np.allclose(changed["units"], 3 * changed["model_units"])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"levels": "store_id"}, "expected both --levels and --levels-out"),
        ({"reconcile": True}, "expected --levels"),
        ({"levels": "total,store_id+store_id", "levels_out": "l.csv"}, "names 'store_id' twice; expected each column once"),
        ({"levels": "region", "levels_out": "l.csv"}, "no 'region'; expected total, or one or more of store_id, product_id,"),
    ],
)
def test_what_are_no_levels_is_named(tmp_path: Path, more: dict, words: str) -> None:
    together(30).to_csv(tmp_path / "h.csv", index=False)
    if "levels_out" in more:
        more = {**more, "levels_out": tmp_path / more["levels_out"]}
    with pytest.raises(BadInput, match=words):
        forecast_file(tmp_path / "h.csv", 3, tmp_path / "f.csv", **more)
    assert [path.name for path in tmp_path.iterdir()] == ["h.csv"]


def test_a_history_too_short_to_hold_out_has_sums_all_the_same() -> None:
    brought = bring(together(2), 5)
    forecaster = Forecaster.learn(brought, 5)
    assert not forecaster.is_judged
    levels = levels_of("total", brought.panel, forecaster.series)
    plain = forecaster.answer([])["units"].to_numpy().reshape(-1, 5)
    found = summed(forecaster, levels, plain, QUANTILES)
    assert len(found) == 5 and not found.isna().any().any()
    np.testing.assert_array_equal(reconciled(forecaster, levels, plain), plain)


def test_a_history_shorter_than_three_horizons_judges_its_sums_by_what_it_can_hold_out(sold: pd.DataFrame) -> None:
    short = sold[sold["ds"] < "2024-03-01"]
    brought = bring(short, 28)
    assert brought.panel.units.shape[1] < 3 * 28
    forecaster = Forecaster.learn(brought, 28)
    levels = levels_of("store_id", brought.panel, forecaster.series)
    found = summed(forecaster, levels, means(forecaster), QUANTILES)
    actual = sold.groupby(["store_id", "ds"])["units"].sum().rename("sold").reset_index().rename(columns={"store_id": "member"})
    stores = found.merge(actual, on=["member", "ds"])
    assert stores["sold"].between(stores["q0.1"], stores["q0.9"]).mean() > 0.65
    assert np.abs(reconciled(forecaster, levels, means(forecaster)) / means(forecaster) - 1).max() > 0.001


@pytest.mark.parametrize(("days", "told"), [(2, 1), (30, 0)])
def test_sums_that_nothing_could_judge_are_told(tmp_path: Path, days: int, told: int) -> None:
    together(days).to_csv(tmp_path / "h.csv", index=False)
    said: list[str] = []
    forecast_file(
        tmp_path / "h.csv", 20, tmp_path / "f.csv", levels="total", levels_out=tmp_path / "l.csv", reconcile=True, tell=said.append
    )  # fmt: skip
    assert len([line for line in said if "could be held out" in line and "--reconcile changes nothing" in line]) == told


def test_a_level_is_named_once_and_members_do_not_run_together() -> None:
    rows = pd.DataFrame({"store_id": ["A+B", "A"], "product_id": ["C", "B+C"], "ds": pd.Timestamp("2024-01-01"), "units": 1.0})
    panel = from_frame(rows)
    found = levels_of("total, total,store_id+product_id", panel, np.arange(2))
    assert [level.name for level in found] == ["total", "store_id+product_id"] and len(set(found[1].codes)) == 2


def test_a_sum_that_was_never_wholly_in_stock_moves_nothing(sold: pd.DataFrame) -> None:
    out = np.random.default_rng(1).random(len(sold)) < 0.4
    brought = bring(sold.assign(in_stock=np.where(out, 0.5, 1.0)), 14)
    forecaster = Forecaster.learn(brought, 14)
    levels = levels_of("total", brought.panel, forecaster.series)
    plain = forecaster.answer([])["units"].to_numpy().reshape(-1, 14)
    np.testing.assert_allclose(reconciled(forecaster, levels, plain), plain, rtol=1e-6)
