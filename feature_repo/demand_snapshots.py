"""The Spark driver of the demand features: groups of whole series become panels, the numpy core does the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from feature_repo.demand_features import ORIGIN_FEATURES, origin_features
from feature_repo.panel import LONGEST_DAYS, Group, Panel, from_frame
from feature_repo.snapshots import pair_snapshots
from feature_repo.tables import DEMAND_FEATURES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: rows of the panel that a worker makes into one panel; a series is never split
BLOCK_ROWS = 300_000
#: columns of the panel besides units and in_stock
KNOWN = ("price", "promotion")
#: the groups whose sums are features of their members, and the column that names the member
GROUPS = {"store": "store_id", "product": "product_id", "category": "category", "all": "everything"}


@dataclass(frozen=True)
class Totals:
    """Sums over all series of a group, day by day from `first_day`: `units` and `exposure` are (members, days)."""

    members: pd.Index
    first_day: np.datetime64
    units: np.ndarray
    exposure: np.ndarray

    def of(self, names: pd.Series, days: pd.DatetimeIndex) -> Group:
        """The group of the series whose members are `names`, over `days`, which end on the totals' last day."""
        codes, distinct = pd.factorize(names)
        rows = self.members.get_indexer(pd.Index(distinct))
        width = len(days)
        return Group(codes, self.units[rows][:, -width:], self.exposure[rows][:, -width:])


def demand_features_frame(
    daily: DataFrame, products: DataFrame, until: date, since: date | None = None, shut: DataFrame | None = None
) -> DataFrame:
    """Rows of DEMAND_FEATURES for every pair and day of `daily` (DEMAND_DAILY) from `since` on; `products` gives the
    categories, `shut` (`store_id, ds`; None: none) the days by which a store had shut. The groups' sums are collected: they are
    bounded by (stores + products + categories) x LONGEST_DAYS."""
    from pyspark.sql import functions as F

    # a till whose clock says 1990 would make every sum as long as its error
    recent = daily.where((F.col("ds") > F.lit(until - timedelta(days=LONGEST_DAYS))) & (F.col("ds") <= F.lit(until)))
    rows = _panel_rows(recent, products)
    spark = daily.sparkSession
    totals = spark.sparkContext.broadcast(totals_of(rows, until))
    parts = max(spark.sparkContext.defaultParallelism, 2)
    series = rows.repartition(parts, "store_id", "product_id").sortWithinPartitions("store_id", "product_id", "ds")

    def make(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for block in whole_series(frames, BLOCK_ROWS):
            yield from block_features(block, totals.value, since, until)

    schema = ", ".join(["store_id string", "product_id string", "ds date", *(f"`{name}` float" for name in ORIGIN_FEATURES)])
    made = series.mapInPandas(make, schema)
    known = spark.createDataFrame([], "store_id string, ds date") if shut is None else shut
    flagged = made.join(F.broadcast(known.withColumn("store_shut", F.lit(1.0))), ["store_id", "ds"], "left").fillna(0.0, ["store_shut"])
    return pair_snapshots(flagged, DEMAND_FEATURES, since)


def _panel_rows(daily: DataFrame, products: DataFrame) -> DataFrame:
    """What a panel is made of; on a closed day nothing could be sold, so that its units are unknown."""
    from pyspark.sql import functions as F

    categories = F.broadcast(products.select("product_id", F.coalesce("category", F.lit("")).alias("category")))
    units = F.when(F.col("open"), F.col("units")).cast("float").alias("units")
    numbers = [F.col(name).cast("float").alias(name) for name in ("in_stock", *KNOWN)]
    rows = daily.select("store_id", "product_id", "ds", units, *numbers).join(categories, "product_id", "left")
    return rows.withColumn("category", F.coalesce("category", F.lit("")))


def totals_of(rows: DataFrame, until: date) -> dict[str, Totals]:
    """The sums of each of GROUPS over all series of `rows`, to `until`. Two passes: a product has one category, so that
    categories and all are sums of products."""
    stores, products = _sums(rows, "store_id"), _sums(rows, "product_id", "category").assign(everything="")
    return {name: _matrices(stores if name == "store" else products, column, until) for name, column in GROUPS.items()}


def _sums(rows: DataFrame, *members: str) -> pd.DataFrame:
    from pyspark.sql import functions as F

    units = F.coalesce(F.col("units"), F.lit(0)).cast("double")
    exposure = F.when(F.col("units").isNotNull(), F.col("in_stock")).otherwise(0).cast("double")
    # to a millionth: the sum of the same parts in another order, as another number of cores adds them, is then the same
    sums = [F.round(F.sum(value), 6).alias(name) for name, value in (("units", units), ("exposure", exposure))]
    return rows.groupBy(*members, "ds").agg(*sums).toPandas()


def _matrices(sums: pd.DataFrame, column: str, until: date) -> Totals:
    codes, members = pd.factorize(sums[column], sort=True)
    days = pd.to_datetime(sums["ds"]).to_numpy().astype("datetime64[D]")
    first = days.min() if len(days) else np.datetime64(until, "D")
    shape = (len(members), int((np.datetime64(until, "D") - first).astype(int)) + 1)
    filled = {name: np.zeros(shape) for name in ("units", "exposure")}
    for name, values in filled.items():
        np.add.at(values, (codes, (days - first).astype(int)), sums[name].to_numpy(dtype=float))
    return Totals(pd.Index(members), first, **filled)


def whole_series(frames: Iterable[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """Blocks of about `rows` rows of frames sorted by store and product, cut only between series."""
    held: list[pd.DataFrame] = []
    for frame in frames:
        held.append(frame)
        if sum(map(len, held)) < rows:
            continue
        block = pd.concat(held, ignore_index=True)
        final = block.iloc[-1]
        same = (block["product_id"] == final["product_id"]) & (block["store_id"] == final["store_id"])
        cut = int(same.to_numpy().argmax())
        if cut:
            yield block.iloc[:cut]
        held = [block.iloc[cut:]]
    if held:
        yield pd.concat(held, ignore_index=True)


def block_features(block: pd.DataFrame, totals: Mapping[str, Totals], since: date | None, until: date) -> Iterator[pd.DataFrame]:
    """The features of a block of whole series, for each series from its first day (`since`, when later) to `until`."""
    block = block.assign(ds=pd.to_datetime(block["ds"]))
    panel = from_frame(block, known=KNOWN, last_day=until, step=1, writes_zeros=True)
    first_days = block.groupby(["store_id", "product_id"], sort=True)["ds"].min().to_numpy()
    categories = block.groupby(["store_id", "product_id"], sort=True)["category"].first().reset_index(drop=True)
    # as wide as all the data, so that a young pair's groups are seen before its birth, whoever shares its block
    panel = _grouped(_widened(panel, totals["all"].first_day), categories, totals)
    # nothing is asked of the days before the first of the block's series was born
    born = first_days.min().astype("datetime64[D]").astype(object)
    positions = range(max(panel.position(max(born, since or born)), 0), len(panel.days))
    if not positions:
        return
    values = origin_features(panel, positions)
    days = panel.days[positions.start :].to_numpy()
    alive = days[None, :] >= first_days[:, None]
    series, at = np.nonzero(alive)
    found = pd.DataFrame(values[series, at], columns=list(ORIGIN_FEATURES))
    keys = panel.keys.iloc[series].reset_index(drop=True)
    yield pd.concat([keys, pd.Series(days[at].astype("datetime64[D]").astype(object), name="ds"), found], axis=1)


def _widened(panel: Panel, first_day: np.datetime64) -> Panel:
    """The panel with unknown days put in front, from `first_day` on (LONGEST_DAYS at most)."""
    width = min(int((panel.days[-1].to_datetime64() - first_day) / np.timedelta64(1, "D")) + 1, LONGEST_DAYS)
    more = ((0, 0), (width - len(panel.days), 0))
    return replace(
        panel,
        days=pd.date_range(end=panel.days[-1], periods=width, freq="D"),
        units=np.pad(panel.units, more, constant_values=np.nan),
        in_stock=np.pad(panel.in_stock, more, constant_values=1),
        known={name: np.pad(values, more, constant_values=np.nan) for name, values in panel.known.items()},
    )


def _grouped(panel: Panel, categories: pd.Series, totals: Mapping[str, Totals]) -> Panel:
    named = {
        "store": panel.keys["store_id"], "product": panel.keys["product_id"], "category": categories,
        "all": pd.Series("", index=panel.keys.index),
    }  # fmt: skip
    return replace(panel, groups={name: totals[name].of(members, panel.days) for name, members in named.items()})
