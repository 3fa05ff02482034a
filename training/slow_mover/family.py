"""The slow-mover family on Spark: which pairs will sell nothing, learned from what happened after earlier origins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from feature_repo.tables import PAIR_ACTIVITY, STOCK_FEATURES
from infra.errors import NotReady
from infra.lake import Lake
from infra.settings import Settings
from infra.tables import Table
from training.evaluation import metrics
from training.family import Card, Contender, Fitted, Fold
from training.parity import largest_gap
from training.portable import Portable
from training.rolling import purged, rolling_folds
from training.slow_mover.card import CARD, FEATURES, HORIZON, LEAST_KNOWN_DAYS
from training.slow_mover.contenders import contenders, named
from training.slow_mover.model import DERIVED, SHUT, SlowMoverModel
from training.tables import SLOW_MOVERS
from training.tabular import FEATURES as TABULAR
from training.tabular import at_most

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: origins of examples, this many days apart; FOLDS of them are judged
DAYS_APART, ORIGINS, FOLDS = 14, 20, 3
#: a pair is alive, and has a label to learn from, when it sold in the last 182 days
_ALIVE = "sale_days_182 > 0"
#: the stock facts that the action's arithmetic reads
_STOCK = ("on_hand", "unit_cost", "shelf_price")
#: rows judged on the driver at most, sampled
JUDGED_ROWS = 300_000

#: the Spark side of training.slow_mover.model.derived; unlike `greatest`, `if` keeps an unknown gap unknown
DERIVED_SQL = {
    "late": "days_since_sale / if(sale_gap_days < 1.0D, 1.0D, sale_gap_days)", "log_days_since_sale": "log1p(days_since_sale)",
    "log_sale_days_91": "log1p(sale_days_91)", "log_units_91": "log1p(units_91)",
}  # fmt: skip


@dataclass(frozen=True)
class SlowMoverFamily:
    """See training.family.Family."""

    card: Card = CARD
    sources: Sequence[Table] = (PAIR_ACTIVITY,)
    decisions: Table = SLOW_MOVERS

    def dataset(self, spark: SparkSession, settings: Settings) -> DataFrame:
        """A row for every pair alive at one of the newest origins whose HORIZON days are over."""
        return examples(Lake(settings.lake_url).read(spark, PAIR_ACTIVITY))

    def folds(self, data: DataFrame) -> Sequence[Fold]:
        """The newest origin, and for tuning the newest whose label was complete by then; each fitted on labels complete by its own."""
        origins = [row[0] for row in data.select("origin").distinct().collect()]
        folds = rolling_folds(data, purged(origins, HORIZON, FOLDS), HORIZON)
        return [replace(fold, test=at_most(fold.test, JUDGED_ROWS)) for fold in folds]

    def contenders(self) -> Sequence[Contender]:
        """Recency rule, closed form, logistic regression, random forest, boosted trees."""
        return contenders()

    def judge(self, fitted: Fitted, fold: Fold) -> pd.DataFrame:
        """Log loss, Brier score, one minus AUC and calibration error, pooled and by how often the pair sells."""
        model = fitted.portable()
        assert isinstance(model, SlowMoverModel)
        chance = model.probability(named(fold.held_out)[list(FEATURES)])
        return metrics.by_segment(fold.held_out[["segment", CARD.label]].assign(chance=chance), "segment", _METRICS)

    def finish(self, fitted: Fitted, data: DataFrame) -> Portable:
        """The calibrated scorer."""
        return fitted.portable()

    def parity(self, fitted: Fitted, portable: Portable, sample: DataFrame) -> float:
        """Probabilities by Spark, and by the portable model from the card's features alone."""
        assert isinstance(portable, SlowMoverModel)
        frame = fitted.predict(sample).toPandas()
        mine = portable.probability(named(frame)[list(FEATURES)])
        return largest_gap(mine, frame["chance"])

    def score(self, spark: SparkSession, settings: Settings, model: Portable, version: str, day: date | None = None) -> DataFrame:
        """Every pair that ever sold, from its newest features and its shelf."""
        return scored(newest(spark, Lake(settings.lake_url), day), model, version)

    def example(self, test: DataFrame) -> pd.DataFrame:
        """Two requests with their online features."""
        keys = pd.DataFrame({"store_id": ["S1", "S1"], "product_id": ["slow", "fast"]})
        values = pd.DataFrame({name: [90.0, 3.0] for name in FEATURES})
        return pd.concat([keys, values, pd.DataFrame({name: [4.0, 12.0] for name in _STOCK})], axis=1)


def examples(activity: DataFrame) -> DataFrame:
    """Rows `store_id, product_id, origin, segment, silent, features` (the card's and DERIVED): silent when the pair's last
    sale, seen HORIZON days later, was not after the origin. Without a row where LEAST_KNOWN_DAYS of those were not known."""
    from pyspark.sql import functions as F

    last = _last_day(activity)
    origins = [last - timedelta(days=HORIZON + DAYS_APART * back) for back in range(ORIGINS)]
    ends = activity.where(F.col("ds").isin([day + timedelta(days=HORIZON) for day in origins]))
    told = ends.where(F.col(f"known_days_{HORIZON}") >= LEAST_KNOWN_DAYS)
    later = told.select("store_id", "product_id", F.date_sub("ds", HORIZON).alias("ds"), F.col("days_since_sale").alias("later"))
    label = (F.col("later") >= HORIZON).cast("double")
    asked = activity.where(F.col("ds").isin(origins) & F.expr(_ALIVE))
    return _shaped(asked.join(later, ["store_id", "product_id", "ds"]).withColumn(CARD.label, label))


def _last_day(activity: DataFrame) -> date:
    from pyspark.sql import functions as F

    row = activity.agg(F.max("ds")).first()
    if row is None or row[0] is None:
        raise NotReady("the pairs' activity is empty: run `shelfcast features` first.")
    return row[0]


def _shaped(rows: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    pace = F.when(F.col("sale_days_91") >= 26, "often").when(F.col("sale_days_91") >= 6, "sometimes").otherwise("rarely")
    keys = ("store_id", "product_id", F.col("ds").alias("origin"), pace.alias("segment"), F.col(CARD.label))
    known = [F.col(name) for name in FEATURES] + [F.expr(DERIVED_SQL[name]) for name in DERIVED]
    return rows.select(*keys, F.array(*(value.cast("double") for value in known)).alias(TABULAR))


def newest(spark: SparkSession, lake: Lake, day: date | None = None) -> DataFrame:
    """`store_id, product_id, origin`, the card's features, the shelf and `product_others` of every pair that ever sold, at
    `day`, the newest unless given."""
    from pyspark.sql import functions as F

    activity = lake.read(spark, PAIR_ACTIVITY)
    last = day or _last_day(activity)
    rows = activity.where((F.col("ds") == F.lit(last)) & F.col("days_since_sale").isNotNull())
    known = rows.select("store_id", "product_id", F.col("ds").alias("origin"), *FEATURES, SHUT, "product_others")
    if not lake.exists(STOCK_FEATURES):
        return known
    stock = lake.read(spark, STOCK_FEATURES).select("store_id", "product_id", F.col("ds").alias("origin"), *_STOCK)
    return known.join(stock, ["store_id", "product_id", "origin"], "left")


def scored(rows: DataFrame, model: Portable, version: str) -> DataFrame:
    """Rows of SLOW_MOVERS, in parallel by the portable model."""

    def said(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            plain = frame.reset_index(drop=True)
            found = model.predict(plain).reset_index(drop=True)
            keys = plain[["origin", "store_id", "product_id"]].iloc[found["item"]].reset_index(drop=True)
            yield pd.concat([keys, found], axis=1).assign(model_version=version)[SLOW_MOVERS.names]

    return rows.mapInPandas(said, SLOW_MOVERS.spark_schema())


def _auc(frame: pd.DataFrame) -> float:
    from sklearn.metrics import roc_auc_score

    return 1.0 - float(roc_auc_score(frame[CARD.label], frame["chance"])) if frame[CARD.label].nunique() > 1 else float("nan")


def _calibration(frame: pd.DataFrame) -> float:
    """Expected calibration error over ten bins of equal width."""
    bins = (frame["chance"] * 10).astype(int).clip(0, 9)
    by = frame.groupby(bins)[["chance", CARD.label]].agg(["mean", "size"])
    gap = (by["chance"]["mean"] - by[CARD.label]["mean"]).abs()
    return float((gap * by["chance"]["size"]).sum() / len(frame))


_METRICS = {
    "log_loss": lambda frame: metrics.log_loss(frame[CARD.label].to_numpy(), frame["chance"].to_numpy()),
    "brier": lambda frame: metrics.brier(frame[CARD.label].to_numpy(), frame["chance"].to_numpy()),
    "one_minus_auc": _auc,
    "calibration_error": _calibration,
}

FAMILY = SlowMoverFamily()
