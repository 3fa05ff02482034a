"""The stock family's examples on Spark: a row for a pair and a weekly review day, with what was known then, the demand
until the order after this one arrives, and the week's days of demand for the simulation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from feature_repo.history import history
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES
from infra.errors import NotReady
from infra.lake import Lake
from infra.settings import Settings
from training.demand.examples import segments
from training.stock.lead_time_demand import LEAD_TIME_FEATURES, cover_days, lead_time_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: weekly review days that are learned from and simulated; the days that the longest stretch may take
REVIEWS, WEEK, LONGEST_DAYS, WARM_UP_DAYS = 20, 7, 21, 56
#: share of a day in stock below which its sales are scaled up no further
LEAST_IN_STOCK = 0.25
_KEYS = ("store_id", "product_id")
#: the columns that the stock model reads, carried beside the regressors' features
STATE = (
    "level",
    "dispersion",
    "origin_day",
    *(f"dow_{day}" for day in range(7)),
    "learned_lead_time_days",
    "learned_lead_time_days_sd",
    "lead_time_days",
    "review_period_days",
    "shelf_price",
    "unit_cost",
    "pack_size",
    "shelf_life_days",
    "on_hand",
    "on_order",
)
LABELS = ("lead_time_demand", "base", "factor", "weight")


def examples(spark: SparkSession, settings: Settings) -> DataFrame:
    """Rows `store_id, product_id, origin, segment, week (array of 7 days' demand), *LABELS, state_*, *LEAD_TIME_FEATURES`.
    Demand of a day is its sales over the share of it in stock; a day of which nothing is known takes the level."""
    from pyspark.sql import functions as F

    lake = Lake(settings.lake_url)
    daily = lake.read(spark, DEMAND_DAILY)
    snapshots = lake.read(spark, DEMAND_FEATURES)
    origins = _reviews(snapshots)
    spine = snapshots.where(F.col("ds").isin(origins)).select(*_KEYS, F.col("ds").alias("origin"), "known_at")
    known = history(spark, settings, spine, "stock_v1")
    ahead = F.datediff(F.col("day"), F.col("origin"))
    demand = F.when(
        F.col("open") & F.col("units").isNotNull() & (F.col("in_stock") > 0), F.col("units") / F.greatest("in_stock", F.lit(LEAST_IN_STOCK))
    )
    days = daily.select(*_KEYS, F.col("ds").alias("day"), demand.alias("demand"))
    coming = known.select(*_KEYS, "origin").join(days, list(_KEYS)).where(ahead.between(1, LONGEST_DAYS))
    paths = coming.groupBy(*_KEYS, "origin").agg(F.sort_array(F.collect_list(F.struct(ahead.alias("ahead"), "demand"))).alias("path"))
    return known.drop("known_at").join(paths, [*_KEYS, "origin"]).mapInPandas(_shaped, schema())


def schema() -> str:
    """The examples' columns as Spark DDL."""
    numbers = ", ".join(f"`{name}` double" for name in (*LABELS, *(f"state_{n}" for n in STATE), *LEAD_TIME_FEATURES))
    return f"store_id string, product_id string, origin date, segment string, week array<double>, {numbers}"


def state_of(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that the stock model reads, under its names."""
    return frame[[f"state_{name}" for name in STATE]].rename(columns=lambda name: name.removeprefix("state_"))


def _reviews(snapshots: DataFrame) -> list[date]:
    from pyspark.sql import functions as F

    first, last = snapshots.agg(F.min("ds"), F.max("ds")).collect()[0]
    if first is None:
        raise NotReady("the demand features are empty: run `shelfcast features` first.")
    newest = last - timedelta(days=LONGEST_DAYS)
    days = [newest - timedelta(days=WEEK * back) for back in range(REVIEWS)]
    return [day for day in days if day >= first + timedelta(days=WARM_UP_DAYS)]


def _shaped(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    for frame in frames:
        path = _paths(frame)
        rows, days = lead_time_rows(frame), np.minimum(cover_days(frame), LONGEST_DAYS)
        total = np.where(np.arange(LONGEST_DAYS)[None, :] < days[:, None], path, 0.0).sum(axis=1)
        labels = pd.DataFrame(
            {
                "segment": segments(frame["adi"].to_numpy(dtype=float), frame["cv2"].to_numpy(dtype=float)),
                "week": list(path[:, :WEEK]),
                "lead_time_demand": total,
                "base": rows.base,
                "factor": total / rows.base,
                "weight": rows.base,
            }
        )
        state = frame[list(STATE)].astype(float).add_prefix("state_").reset_index(drop=True)
        matrix = pd.DataFrame(rows.matrix.astype(np.float64), columns=list(rows.names))
        yield pd.concat([frame[[*_KEYS, "origin"]].reset_index(drop=True), labels, state, matrix], axis=1)


def _paths(frame: pd.DataFrame) -> np.ndarray:
    """(m, LONGEST_DAYS) demand of the days after the origin; what is not known takes the level."""
    path = np.tile(np.nan_to_num(frame["level"].to_numpy(dtype=float))[:, None], (1, LONGEST_DAYS))
    for row, steps in enumerate(frame["path"]):
        for step in steps:
            if step["demand"] is not None and step["demand"] == step["demand"]:
                path[row, step["ahead"] - 1] = step["demand"]
    return path
