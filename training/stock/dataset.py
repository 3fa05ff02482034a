"""The stock family's examples on Spark: a row for a pair and a weekly review day, with what was known then, the demand
until the order after this one arrives, and the week's days of demand for the simulation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_ingest.chance import keys_of, uniform
from feature_repo.history import history
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES
from infra.errors import NotReady
from infra.lake import Lake
from infra.settings import Settings
from training.demand.examples import segments
from training.stock.lead_time_demand import lead_time_rows
from training.stock.model import LONGEST_COVER_DAYS, cover_days, terms_of
from training.stock.replay import SIMULATED_PAIRS, STATE, WEEK
from training.tabular import FEATURES, drawn, matrix_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: weekly snapshots that are learned from and simulated; days known before the first
SNAPSHOTS, KNOWN_DAYS = 34, 56
_KEYS = ("store_id", "product_id")
LABELS = ("lead_time_demand", "base", "factor", "weight")


def examples(spark: SparkSession, settings: Settings) -> DataFrame:
    """Rows `store_id, product_id, origin, segment, week (array of 7 days' demand), *LABELS, state_*, features
    (LEAD_TIME_FEATURES), simulated (whether the pair is one of those that the replay looks at)`.
    Demand of a day is its sales and the level's for the share of it out of stock: the sales of the hours in stock, scaled
    up, would be too many, since it was a sale that emptied the shelf. In `week` it is whole units, up or down by chance."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    lake = Lake(settings.lake_url)
    daily = lake.read(spark, DEMAND_DAILY)
    snapshots = lake.read(spark, DEMAND_FEATURES)
    origins = _reviews(snapshots)
    spine = snapshots.where(F.col("ds").isin(origins)).select(*_KEYS, F.col("ds").alias("origin"), "known_at")
    known = history(spark, settings, spine, "stock_v1")
    # the panel has a row for every day, so that the rows that follow are the days that follow
    following = Window.partitionBy(*_KEYS).orderBy("ds").rowsBetween(1, LONGEST_COVER_DAYS)
    # a closed day sells nothing; of a day whose feed is missing nothing is known
    units, seen = F.col("units"), F.when(F.col("open"), F.coalesce("in_stock", F.lit(1.0))).otherwise(1.0)
    days = {name: F.coalesce(value, F.lit(float("nan"))) for name, value in {"units": units, "seen": seen}.items()}
    paths = daily.select(
        *_KEYS,
        F.col("ds").alias("origin"),
        *(F.collect_list(value).over(following).alias(f"coming_{name}") for name, value in days.items()),
    )
    coming = paths.where(F.col("origin").isin(origins))
    found = known.drop("known_at").join(coming, [*_KEYS, "origin"]).mapInPandas(_shaped, schema())
    pairs = spine.select(*_KEYS).distinct().count()
    return found.withColumn("simulated", drawn(min(SIMULATED_PAIRS / max(pairs, 1), 1.0), *_KEYS))


def schema() -> str:
    """The examples' columns as Spark DDL."""
    numbers = ", ".join(f"`{name}` double" for name in (*LABELS, *(f"state_{n}" for n in STATE)))
    return f"store_id string, product_id string, origin date, segment string, week array<double>, {numbers}, {FEATURES} array<float>"


def _reviews(snapshots: DataFrame) -> list[date]:
    from pyspark.sql import functions as F

    first, last = snapshots.agg(F.min("ds"), F.max("ds")).collect()[0]
    if first is None:
        raise NotReady("the demand features are empty: run `shelfcast features` first.")
    newest = last - timedelta(days=LONGEST_COVER_DAYS)
    days = [newest - timedelta(days=WEEK * back) for back in range(SNAPSHOTS)]
    return [day for day in days if day >= first + timedelta(days=KNOWN_DAYS)]


def _shaped(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    for frame in frames:
        path = _paths(frame)
        rows, days = lead_time_rows(frame), cover_days(terms_of(frame))
        total = np.where(np.arange(LONGEST_COVER_DAYS)[None, :] < days[:, None], path, 0.0).sum(axis=1)
        labels = pd.DataFrame(
            {
                "segment": segments(frame["adi"].to_numpy(dtype=float), frame["cv2"].to_numpy(dtype=float)),
                "week": list(_whole_units(frame, path[:, :WEEK])),
                "lead_time_demand": total,
                "base": rows.base,
                "factor": total / rows.base,
                "weight": rows.base,
            }
        )
        state = frame[list(STATE)].astype(float).add_prefix("state_").reset_index(drop=True)
        keys = frame[[*_KEYS, "origin"]].reset_index(drop=True)
        yield pd.concat([keys, labels, state, pd.Series(list(rows.matrix), name=FEATURES)], axis=1)


def _paths(frame: pd.DataFrame) -> np.ndarray:
    """(m, LONGEST_COVER_DAYS) demand of the days after the origin; what is not known takes the level."""
    level = np.nan_to_num(frame["level"].to_numpy(dtype=float))[:, None]
    units, seen = (matrix_of(frame[f"coming_{name}"], LONGEST_COVER_DAYS) for name in ("units", "seen"))
    path = units + (1.0 - seen) * level
    return np.where(np.isnan(path), level, path)


def _whole_units(frame: pd.DataFrame, path: np.ndarray) -> np.ndarray:
    """(m, days) the path in whole units: a part of one is one with its own chance, drawn by pair and day."""
    first = pd.to_datetime(frame["origin"]).to_numpy("datetime64[D]").astype(int)
    draw = uniform(0, "part", keys_of(frame["store_id"], frame["product_id"])[:, None], first[:, None] + np.arange(path.shape[1])[None, :])
    return np.floor(path + draw)
