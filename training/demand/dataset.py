"""The demand family's examples on Spark: a row for a pair, an origin and a horizon, with what was known at the origin and
what was sold on the target day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from feature_repo.demand_features import ORIGIN_FEATURES
from feature_repo.history import history
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES
from infra.errors import NotReady
from infra.lake import Lake
from infra.settings import Settings
from training.demand.examples import EXAMPLE_FEATURES, example_rows, segments

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: days ahead that the platform forecasts
HORIZON = 7
#: a week apart, so that no day is a label twice at the same horizon and every weekday is seen at each
ORIGINS, DAYS_APART = 16, 7
#: share of a day in stock below which its sales say too little about demand to learn from
LEAST_IN_STOCK = 0.2
#: days of history before an origin is worth learning from
WARM_UP_DAYS = 56

_KEYS = ("store_id", "product_id")
#: what each example carries beside the features: `demand` is units sold per share of the day in stock, `weight` that
#: share times the base, `base` the level x weekday profile's forecast in units, `factor` demand over it, `scale` the mean
#: squared day-to-day difference of the pair's sales up to the origin (of RMSSE)
LABELS = ("units", "in_stock", "demand", "base", "factor", "weight", "scale")


def examples(spark: SparkSession, settings: Settings) -> DataFrame:
    """Rows `store_id, product_id, origin, horizon, ds, segment, *LABELS, *EXAMPLE_FEATURES` of the newest weekly origins
    whose whole horizon is known; days that were closed, unknown or mostly out of stock are no labels."""
    from pyspark.sql import functions as F

    lake = Lake(settings.lake_url)
    daily = lake.read(spark, DEMAND_DAILY)
    snapshots = lake.read(spark, DEMAND_FEATURES)
    spine = snapshots.where(F.col("ds").isin(_origins(snapshots))).select(*_KEYS, F.col("ds").alias("origin"), "known_at")
    known = history(spark, settings, spine, "demand_v1")
    ahead = known.withColumn("horizon", F.explode(F.array(*map(F.lit, range(1, HORIZON + 1)))))
    ahead = ahead.withColumn("ds", F.date_add("origin", F.col("horizon")))
    label = daily.where(F.col("open") & F.col("units").isNotNull() & (F.col("in_stock") >= LEAST_IN_STOCK)).select(
        *_KEYS, "ds", "units", "in_stock"
    )
    rows = ahead.join(label, [*_KEYS, "ds"]).join(_scales(daily), [*_KEYS, "origin"], "left")
    plain = rows.select(
        *_KEYS, "origin", "ds", "horizon", "units", "in_stock", "scale", *[F.col(name).cast("float") for name in ORIGIN_FEATURES]
    )
    return plain.mapInPandas(_shaped, schema())


def _scales(daily: DataFrame) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    by_day = Window.partitionBy(*_KEYS).orderBy("ds")
    known = daily.where(F.col("units").isNotNull()).withColumn("step", F.pow(F.col("units") - F.lag("units").over(by_day), 2))
    scale = F.avg("step").over(by_day.rowsBetween(Window.unboundedPreceding, 0))
    return known.select(*_KEYS, F.col("ds").alias("origin"), scale.alias("scale"))


def schema() -> str:
    """The examples' columns as Spark DDL."""
    keys = "store_id string, product_id string, origin date, ds date, horizon int, segment string"
    numbers = ", ".join(f"`{name}` double" for name in (*LABELS, *EXAMPLE_FEATURES) if name not in ("horizon",))
    return f"{keys}, {numbers}"


def _origins(snapshots: DataFrame) -> Sequence[date]:
    from pyspark.sql import functions as F

    first, last = snapshots.agg(F.min("ds"), F.max("ds")).collect()[0]
    if first is None:
        raise NotReady("the demand features are empty: run `shelfcast features` first.")
    newest = last - timedelta(days=HORIZON)
    days = [newest - timedelta(days=DAYS_APART * back) for back in range(ORIGINS)]
    return [day for day in days if day >= first + timedelta(days=WARM_UP_DAYS)]


def _shaped(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    for frame in frames:
        origin = frame[list(ORIGIN_FEATURES)].to_numpy(dtype=np.float32)
        rows = example_rows(origin, frame["horizon"].to_numpy())
        values = pd.DataFrame(rows.matrix.astype(np.float64), columns=list(rows.names)).drop(columns="horizon")
        demand = frame["units"].to_numpy(dtype=float) / frame["in_stock"].to_numpy(dtype=float)
        labels = {
            "segment": segments(frame["adi"].to_numpy(), frame["cv2"].to_numpy()), "units": frame["units"].to_numpy(dtype=float),
            "in_stock": frame["in_stock"].to_numpy(dtype=float), "demand": demand, "base": rows.base, "factor": demand / rows.base,
            "weight": frame["in_stock"].to_numpy(dtype=float) * rows.base, "scale": frame["scale"].to_numpy(dtype=float),
        }  # fmt: skip
        keys = frame[[*_KEYS, "origin", "ds", "horizon"]].reset_index(drop=True)
        yield pd.concat([keys, pd.DataFrame(labels), values], axis=1)
