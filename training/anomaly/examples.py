"""The examples: recent days with what was known the day before, some of them made wrong on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_ingest.tables import PRICE_DAILY
from feature_repo.demand_daily import read_or_empty
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES
from infra.errors import NotReady
from infra.lake import Lake
from infra.settings import Settings
from training.anomaly.card import FEATURES
from training.anomaly.day import CHANNELS, channels

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: days of examples; the newest windows of them are judged, with anomalies injected into this share of their rows
DAYS, WINDOW, WINDOWS, INJECTED = 98, 14, 3, 0.01
#: pairs that examples are cut from, sampled: learning how rare is rare needs no more
PAIRS = 6_000

KEYS = ("store_id", "product_id", "ds")
_FACTS = ("units", "revenue", "lines", "baskets", "returns")
_COLUMNS = ", ".join(
    ["store_id string", "product_id string", "ds date", "origin date", "segment string", "injected boolean", "truth string"]
    + [f"{name} double" for name in (*_FACTS, *FEATURES, *CHANNELS, "z")]
)


def known_days(spark: SparkSession, settings: Settings, days: int, most_pairs: int | None = None) -> DataFrame:
    """The last `days` open days of every pair, or of `most_pairs` drawn by the seed: keys, units, revenue, lines, baskets, returns
    of the day and the card's features as known at the end of the day before, but for the day's own shelf price where one is told."""
    from pyspark.sql import functions as F

    lake = Lake(settings.lake_url)
    last = newest_day(lake.read(spark, DEMAND_DAILY))
    facts = day_facts(spark, lake, last - timedelta(days=days))
    if most_pairs is not None:
        pairs = facts.select("store_id", "product_id").distinct()
        drawn = pairs.orderBy(F.xxhash64(F.lit(settings.seed), "store_id", "product_id")).limit(most_pairs)
        facts = facts.join(F.broadcast(drawn.localCheckpoint()), ["store_id", "product_id"], "left_semi")
    before = lake.read(spark, DEMAND_FEATURES).where(F.col("ds") >= F.lit(last - timedelta(days=days + 1)))
    features = before.select("store_id", "product_id", F.date_add("ds", 1).alias("ds"), *FEATURES)
    return with_shelf_price(facts.join(features, list(KEYS)), spark, lake, last - timedelta(days=days))


def day_facts(spark: SparkSession, lake: Lake, after: date) -> DataFrame:
    """Keys, units, revenue, lines, baskets and returns of every pair's open days after `after`."""
    from pyspark.sql import functions as F

    daily = lake.read(spark, DEMAND_DAILY).where((F.col("ds") > F.lit(after)) & F.col("open") & F.col("units").isNotNull())
    return daily.select(
        *KEYS, "units", *(F.coalesce(F.col(name).cast("double"), F.lit(0.0)).alias(name) for name in ("revenue", "lines", "baskets")),
        F.coalesce("returned_units", F.lit(0.0)).alias("returns"),
    )  # fmt: skip


def with_shelf_price(rows: DataFrame, spark: SparkSession, lake: Lake, since: date) -> DataFrame:
    """`rows` of days from `since` on with `price`, what the till should have asked for: the shelf price of the day, and where
    none was told the price known before it. Never what was paid that day: held against itself no price is strange."""
    from pyspark.sql import functions as F

    told = read_or_empty(spark, lake, PRICE_DAILY).where(F.col("ds") >= F.lit(since)).select(*KEYS, F.col("price").alias("shelf_price"))
    return rows.join(told, list(KEYS), "left").withColumn("price", F.coalesce("shelf_price", "price")).drop("shelf_price")


def newest_day(rows: DataFrame) -> date:
    """The last `ds`; raises NotReady when there is none."""
    from pyspark.sql import functions as F

    row = rows.agg(F.max("ds")).first()
    if row is None or row[0] is None:
        raise NotReady("no day of sales is known together with the features of the day before: run `shelfcast features` first.")
    return row[0]


def examples(spark: SparkSession, settings: Settings) -> DataFrame:
    """Rows of `known_days` with their channels; in the newest WINDOWS windows, INJECTED of them were made wrong
    (`injected`, `truth` names how), the same ones each time for `settings.seed`."""
    from pyspark.sql import functions as F

    rows = known_days(spark, settings, DAYS, PAIRS)
    last = newest_day(rows)
    since, seed = last - timedelta(days=WINDOW * WINDOWS), settings.seed

    def shaped(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            yield _shaped(frame, since, seed)

    drawn = F.pmod(F.xxhash64(F.lit(seed), *KEYS), F.lit(1_000_000)) / 1e6
    return rows.withColumn("draw", drawn).mapInPandas(shaped, _COLUMNS)


def _shaped(frame: pd.DataFrame, since: date, seed: int) -> pd.DataFrame:
    wrong = inject(frame, (frame["draw"].to_numpy() < INJECTED) & (pd.to_datetime(frame["ds"]) > pd.Timestamp(since)).to_numpy())
    volume = np.array(["slow", "medium", "fast"], dtype=object)[np.digitize(wrong["level"].fillna(0), [0.3, 1.5])]
    out = pd.concat([wrong, channels(wrong)], axis=1).assign(origin=wrong["ds"], segment=volume, injected=wrong["truth"] != "")
    return out[[column.split(" ")[0] for column in _COLUMNS.split(", ")]]


def inject(frame: pd.DataFrame, chosen: np.ndarray) -> pd.DataFrame:
    """`frame` with the chosen rows made wrong in one of five ways, and `truth` naming it (empty where nothing changed).
    Which way, and how much, follows from the row's `draw`."""
    out, truth = frame.copy(), np.full(len(frame), "", dtype=object)
    fine = (frame["draw"].to_numpy() * 1e6).astype(np.int64)
    way, strength = fine % 5, 3.0 + 5.0 * ((fine // 5) % 100) / 100
    units, revenue = frame["units"].to_numpy(dtype=float), frame["revenue"].to_numpy(dtype=float)
    price = np.nan_to_num(frame["price"].to_numpy(dtype=float), nan=1.0)
    spike, outage = chosen & (way == 0), chosen & (way == 1) & (units > 0)
    wrong_price, feed = chosen & (way == 2) & (revenue > 0), chosen & (way == 3) & (units > 0)
    added = np.ceil((frame["level"].fillna(0).to_numpy() + 1) * strength)
    _set(out, spike, units=units + added, revenue=revenue + added * price, lines=out["lines"] + added, baskets=out["baskets"] + added)
    _set(out, outage, **dict.fromkeys(("units", "revenue", "lines", "baskets"), np.zeros(len(frame))))
    _set(out, wrong_price, revenue=revenue * np.where(fine % 2 == 0, 10.0, 0.1))
    _set(out, feed, units=units * 2, revenue=revenue * 2, lines=out["lines"] * 2)
    _set(out, chosen & (way == 4), returns=out["returns"] + np.ceil(strength))
    for name, mask in (("spike", spike), ("drop", outage), ("price", wrong_price), ("feed", feed), ("returns", chosen & (way == 4))):
        truth[mask] = name
    return out.assign(truth=truth)


def _set(frame: pd.DataFrame, mask: np.ndarray, **values: np.ndarray | pd.Series) -> None:
    for name, column in values.items():
        frame[name] = np.where(mask, np.asarray(column, dtype=float), frame[name].to_numpy(dtype=float))
