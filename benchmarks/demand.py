"""Demand forecasts side by side: `python -m benchmarks.demand --data DIR [--set m5] [--origins 2] [--rivals profile,...]`."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import demand_rivals as rivals
from benchmarks.demand_sets import ORIGINS, SETS, DataSet
from feature_repo.panel import Panel
from training.demand.forecast import forecast
from training.demand.history_file import bring
from training.evaluation import metrics

LEVELS = (0.1, 0.5, 0.9)
RIVALS = {
    "seasonal_naive": rivals.seasonal_naive, "window_mean": rivals.window_mean, "profile": rivals.profile,
    "lightgbm": rivals.lightgbm_plain,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one set, or all of them, and print a table each, the mean over its origins."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--set", choices=sorted(SETS), dest="name", help="default: all, the largest last")
    parser.add_argument("--origins", type=int, help="default: as in the table of docs/demand.md")
    parser.add_argument("--rivals", default=",".join([*RIVALS, "shelfcast"]))
    parser.add_argument("--stores", default="", help="M5: only these stores")
    given = parser.parse_args(arguments)
    more = {"stores": tuple(given.stores.split(","))} if given.stores else {}
    for name in [given.name] if given.name else list(SETS):
        compare(SETS[name](given.data, given.origins or ORIGINS[name], **more), given.rivals.split(","))


def compare(data: DataSet, names: Sequence[str]) -> None:
    """Every competitor at every origin, each printed as it is done, then their means and costs."""
    rows = []
    for origin in data.origins:
        for name in names:
            rows.append({"origin": f"{origin:%Y-%m-%d}", "rival": name, **run(data, origin, name)})
            print(pd.DataFrame(rows[-1:]).to_string(index=False, float_format="%.4f"), flush=True)
    table = pd.DataFrame(rows).drop(columns="origin").groupby("rival", sort=False).mean()
    series = len(data.history[["store_id", "product_id"]].drop_duplicates())
    print(f"\n{data.name}: horizon {data.horizon}, {len(data.origins)} origins\n{table.to_string(float_format='%.4f')}")
    print(f"cpu seconds a series: {', '.join(f'{n} {v / series:.2g}' for n, v in table['cpu_s'].items())}, {series:,} series")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB\n", flush=True)


def run(data: DataSet, origin: pd.Timestamp, name: str) -> dict[str, float]:
    """One competitor at one origin: its metrics, and the cpu seconds of training and forecast."""
    known = data.history[data.history["ds"] <= origin]
    step = 7 if data.name == "vn2" else 1
    ahead = data.history[(data.history["ds"] > origin) & (data.history["ds"] <= origin + pd.Timedelta(days=step * data.horizon))]
    future = ahead[["store_id", "product_id", "ds", *data.planned]] if data.planned else None
    panel = bring(known, data.horizon, future, data.items).panel
    started = time.process_time()
    if name == "shelfcast":
        found = forecast(known, data.horizon, future=future, items=data.items, quantiles=LEVELS)
        mean, quantiles = on_grid(found, panel, data.horizon)
    else:
        mean, quantiles = RIVALS[name](panel, data.horizon, LEVELS)
    cpu = time.process_time() - started
    return {**judged(data, panel, ahead, mean, quantiles), "cpu_s": cpu}


def on_grid(found: pd.DataFrame, panel: Panel, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Forecast rows as (n, H) means and (n, H, levels) quantiles of the panel's series, NaN where there is none."""
    series = pd.MultiIndex.from_frame(panel.keys).get_indexer(pd.MultiIndex.from_frame(found[["store_id", "product_id"]]))
    at = ((found["ds"] - panel.days[-1]).dt.days // panel.step - 1).to_numpy()
    mean = np.full((len(panel.keys), horizon), np.nan)
    quantiles = np.full((*mean.shape, len(LEVELS)), np.nan)
    mean[series, at] = found["units"]
    quantiles[series, at] = found[[f"q{level:g}" for level in LEVELS]]
    return mean, quantiles


def judged(data: DataSet, panel: Panel, ahead: pd.DataFrame, mean: np.ndarray, quantiles: np.ndarray) -> dict[str, float]:
    """Metrics over the actuals of days in stock, of series that have a forecast; NaN forecasts count as 0."""
    series = pd.MultiIndex.from_frame(panel.keys).get_indexer(pd.MultiIndex.from_frame(ahead[["store_id", "product_id"]]))
    at = ((ahead["ds"] - panel.days[-1]).dt.days // panel.step - 1).to_numpy()
    actual = np.full(mean.shape, np.nan)
    full = (ahead["in_stock"] >= 0.999).to_numpy() if "in_stock" in ahead else np.ones(len(ahead), dtype=bool)
    kept = (series >= 0) & full
    actual[series[kept], at[kept]] = ahead["units"].to_numpy()[kept]
    mean, quantiles = np.nan_to_num(mean), np.nan_to_num(quantiles)
    known = ~np.isnan(actual)
    y, f, q = actual[known], mean[known], quantiles[known]
    scaled = metrics.rmsse(actual, mean, metrics.squared_scale(panel.units))
    units = np.nansum(panel.units[:, -28:], axis=1)
    found = {
        "wape": metrics.wape(y, f), "wape_median": metrics.wape(y, q[:, LEVELS.index(0.5)]), "bias": metrics.bias(y, f),
        "rmsse": metrics.weighted_mean(scaled, np.ones(len(scaled))), "rmsse_by_sales": metrics.weighted_mean(scaled, units),
        "mase": metrics.weighted_mean(metrics.mase(actual, mean, metrics.absolute_scale(panel.units)), np.ones(len(mean))),
        "wql": metrics.wql(y, q, LEVELS), **{f"cover_{level:g}": metrics.coverage(y, q[:, i]) for i, level in enumerate(LEVELS)},
        "crossing": metrics.crossing(q),
    }  # fmt: skip
    return found | ({"wrmsse": _wrmsse(data, panel, actual, mean)} if data.levels else {})


def _wrmsse(data: DataSet, panel: Panel, actual: np.ndarray, mean: np.ndarray) -> float:
    names = pd.concat([panel.keys, panel.static], axis=1).assign(state=panel.keys["store_id"].str[:2])
    levels = {"+".join(of) or "total": _members(names, of) for of in data.levels}
    history = panel.units.astype(np.float64)
    value = np.nansum(history[:, -28:] * np.nan_to_num(panel.known["price"][:, : history.shape[1]][:, -28:]), axis=1)
    known = ~np.isnan(actual)
    return metrics.wrmsse(np.where(known, actual, 0), np.where(known, mean, 0), history, value, levels)["mean"]


def _members(names: pd.DataFrame, of: Sequence[str]) -> np.ndarray:
    return names.groupby(list(of)).ngroup().to_numpy() if of else np.zeros(len(names), dtype=int)


if __name__ == "__main__":
    main()
