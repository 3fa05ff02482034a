"""Demand where shelves sold out, against the truth that only the demo's replay knows: `python -m benchmarks.censored`, after
`shelfcast replay`. An oracle is the same learner on what was asked for; what the others are off by against it is what the
stockouts did, without what that week was off by for all.

    sales      forecasts of a history without `in_stock`: a day that sold out is taken for a day of little demand
    units      `units` of a history with it: the mean of a day in stock
    demand     `demand` of the same
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pandas as pd

from data_ingest.truth import truth_path
from infra.settings import load_settings
from training.demand.forecast import forecast

HORIZON = 7
KEYS = ["store_id", "product_id"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the bias of each at a few weekly origins up to the end of the year, and pooled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--origins", type=int, default=4)
    parser.add_argument("--apart", type=int, default=28, help="days between origins")
    given = parser.parse_args(arguments)
    known = started(pd.read_parquet(truth_path(load_settings(), "demand")))
    last = known["ds"].max() - pd.Timedelta(days=HORIZON)
    origins = [last - pd.Timedelta(days=given.apart * back) for back in range(given.origins)][::-1]
    table = pd.concat([totals(known, origin) for origin in origins])
    print(f"lost of demand: {1 - known['units'].sum() / known['demand'].sum():.1%}")
    told = pd.concat([table, table.sum().to_frame("pooled").T])
    against = told[["sales", "units", "demand"]].div(told["oracle"], axis=0) - 1
    print(against.assign(oracle_against_truth=told["oracle"] / told["truth"] - 1).to_string(float_format="{:+.1%}".format))


def started(truth: pd.DataFrame) -> pd.DataFrame:
    """The rows of each pair from its first demand on, with days as dates."""
    truth = truth.assign(ds=pd.to_datetime(truth["ds"]))
    first = truth[truth["demand"] > 0].groupby(KEYS)["ds"].min().rename("first").reset_index()
    both = truth.merge(first, on=KEYS)
    return both[both["ds"] >= both["first"]].drop(columns="first")


def totals(known: pd.DataFrame, origin: pd.Timestamp) -> pd.DataFrame:
    """A row: the units that each forecasts of the week after `origin`, and the truth."""
    past = known[known["ds"] <= origin]
    week = known[(known["ds"] > origin) & (known["ds"] <= origin + pd.Timedelta(days=HORIZON))]
    sold = past[[*KEYS, "ds", "units"]]
    ours = forecast(past[[*KEYS, "ds", "units", "in_stock"]], HORIZON)
    found = {
        "sales": forecast(sold, HORIZON)["units"].sum(), "units": ours["units"].sum(), "demand": ours["demand"].sum(),
        "oracle": forecast(sold.assign(units=past["demand"]), HORIZON)["units"].sum(), "truth": week["demand"].sum(),
    }  # fmt: skip
    return pd.DataFrame(found, index=pd.Index([f"{origin:%Y-%m-%d}"]))


if __name__ == "__main__":
    main()
