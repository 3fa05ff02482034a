"""The demand family's examples on Spark: a row for a pair, an origin and a horizon, with what was known at the origin and
what was sold on the target day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from feature_repo.demand_features import ORIGIN_FEATURES
from feature_repo.history import history
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES
from infra.errors import NotReady
from infra.lake import Lake
from infra.settings import Settings
from training.demand.card import HORIZON
from training.demand.examples import AT, example_rows, segments
from training.tabular import FEATURES, matrix_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

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
    """Rows `store_id, product_id, origin, horizon, ds, segment, *LABELS, features` (EXAMPLE_FEATURES) of the newest weekly
    origins whose whole horizon is known; days that were closed, unknown or mostly out of stock are no labels."""
    from pyspark.sql import functions as F

    lake = Lake(settings.lake_url)
    daily = lake.read(spark, DEMAND_DAILY)
    snapshots = lake.read(spark, DEMAND_FEATURES)
    spine = snapshots.where(F.col("ds").isin(_origins(snapshots))).select(*_KEYS, F.col("ds").alias("origin"), "known_at")
    known = history(spark, settings, spine, "demand_v1")
    features = F.array(*[F.col(name).cast("float") for name in ORIGIN_FEATURES]).alias("known")
    ahead = known.select(*_KEYS, "origin", features).withColumn("horizon", F.explode(F.array(*map(F.lit, range(1, HORIZON + 1)))))
    ahead = ahead.withColumn("ds", F.date_add("origin", F.col("horizon")))
    label = daily.where(F.col("open") & F.col("units").isNotNull() & (F.col("in_stock") >= LEAST_IN_STOCK)).select(
        *_KEYS, "ds", "units", "in_stock"
    )
    rows = ahead.join(label, [*_KEYS, "ds"]).join(_scales(daily), [*_KEYS, "origin"], "left")
    return rows.mapInPandas(_shaped, schema())


def _scales(daily: DataFrame) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    by_day = Window.partitionBy(*_KEYS).orderBy("ds")
    so_far = by_day.rowsBetween(Window.unboundedPreceding, 0)
    before = by_day.rowsBetween(Window.unboundedPreceding, -1)
    # from the first sale on: a late starter's zeros would make its scale small, and its errors weigh most
    sold = F.max(F.col("units") > 0).over(before)
    step = F.when(sold, F.pow(F.col("units") - F.last("units", ignorenulls=True).over(before), 2))
    # a day that is not known has the scale of those before it
    return daily.withColumn("step", step).select(*_KEYS, F.col("ds").alias("origin"), F.avg("step").over(so_far).alias("scale"))


def schema() -> str:
    """The examples' columns as Spark DDL."""
    keys = "store_id string, product_id string, origin date, ds date, horizon int, segment string"
    return f"{keys}, {', '.join(f'{name} double' for name in LABELS)}, {FEATURES} array<float>"


def _origins(snapshots: DataFrame) -> Sequence[date]:
    from pyspark.sql import functions as F

    first, last = snapshots.agg(F.min("ds"), F.max("ds")).collect()[0]
    if first is None:
        raise NotReady("the demand features are empty: run `shelfcast features` first.")
    newest = last - timedelta(days=HORIZON)
    days = [newest - timedelta(days=DAYS_APART * back) for back in range(ORIGINS)]
    return [day for day in days if day >= first + timedelta(days=WARM_UP_DAYS)]


def _shaped(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    return (shaped(frame) for frame in frames)


def shaped(frame: pd.DataFrame) -> pd.DataFrame:
    """Examples of rows `store_id, product_id, origin, ds, horizon, units, in_stock, scale, known` (ORIGIN_FEATURES)."""
    origin = matrix_of(frame["known"], len(ORIGIN_FEATURES))
    rows = example_rows(origin, frame["horizon"].to_numpy())
    units, in_stock = frame["units"].to_numpy(dtype=float), frame["in_stock"].to_numpy(dtype=float)
    demand = units / in_stock
    labels = {
        "units": units, "in_stock": in_stock, "demand": demand, "base": rows.base, "factor": demand / rows.base,
        "weight": in_stock * rows.base, "scale": frame["scale"].to_numpy(dtype=float),
    }  # fmt: skip
    keys = frame[[*_KEYS, "origin", "ds", "horizon"]].assign(segment=segments(origin[:, AT["adi"]], origin[:, AT["cv2"]]))
    return keys.assign(**labels, **{FEATURES: list(rows.matrix)})
