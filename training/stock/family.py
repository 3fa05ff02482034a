"""The stock family on Spark: what to order, judged by the money that its orders would have cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from feature_repo.definitions import service_features
from feature_repo.shut import sold
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES, STOCK_FEATURES
from infra.lake import Lake
from infra.settings import Settings
from infra.tables import Table
from training.family import Card, Contender, Fitted, Fold
from training.parity import largest_gap
from training.portable import Portable
from training.rolling import rolling_folds
from training.stock.card import CARD
from training.stock.contenders import contenders
from training.stock.dataset import examples
from training.stock.model import LONGEST_COVER_DAYS
from training.stock.replay import POLICY, REVIEWS, WARM_UP, replay, ruled, whole
from training.tables import ORDERS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: windows judged; the weeks that count in one do not count in another
FOLDS = 3


@dataclass(frozen=True)
class StockFamily:
    """See training.family.Family."""

    card: Card = CARD
    sources: Sequence[Table] = (DEMAND_FEATURES, STOCK_FEATURES, DEMAND_DAILY)
    decisions: Table = ORDERS

    def dataset(self, spark: SparkSession, settings: Settings) -> DataFrame:
        """Pairs on weekly review days."""
        return examples(spark, settings)

    def folds(self, data: DataFrame) -> Sequence[Fold]:
        """Windows of REVIEWS snapshots, the newest last; each fitted on what was complete before its first."""
        from pyspark.sql import functions as F

        days = sorted(row[0] for row in data.select("origin").distinct().collect())
        stops = [len(days) - (REVIEWS - WARM_UP) * back for back in reversed(range(FOLDS))]
        folds = []
        for window in (days[stop - REVIEWS : stop] for stop in stops if stop > REVIEWS):
            for fold in rolling_folds(data, window[:1], LONGEST_COVER_DAYS):
                folds.append(Fold(fold.origin, fold.train, data.where(F.col("origin").isin(window) & F.col("simulated"))))
        return folds

    def contenders(self) -> Sequence[Contender]:
        """Fixed cover, the plain arithmetic, MLlib's regressors and XGBoost under it."""
        return contenders()

    def judge(self, fitted: Fitted, fold: Fold) -> pd.DataFrame:
        """Money a pair and week of the replay, and the fill rate's complement, pooled and by segment. All contenders meet the
        same demand and lead times from the same first stock."""
        return _judged(ruled(fold.held_out, fitted.portable()))

    def finish(self, fitted: Fitted, data: DataFrame) -> Portable:
        """The rule as it was judged."""
        return fitted.portable()

    def parity(self, fitted: Fitted, portable: Portable, sample: DataFrame) -> float:
        """Expected demand and cover of example rows by both; the arithmetic behind them is one."""
        theirs = fitted.predict(sample).toPandas()
        mine = ruled(theirs, portable)
        return max(largest_gap(mine[name], theirs[name]) for name in POLICY)

    def score(self, spark: SparkSession, settings: Settings, model: Portable, version: str, day: date | None = None) -> DataFrame:
        """Today's orders of the pairs that are sold (feature_repo/shut.py) and whose stock is known, in groups of pairs by the
        portable model, then ranked by money at risk over all: an unknown shelf is no empty one."""
        from pyspark.sql import Window
        from pyspark.sql import functions as F

        lake = Lake(settings.lake_url)
        stock, demand = lake.read(spark, STOCK_FEATURES), lake.read(spark, DEMAND_FEATURES)
        last = day or stock.agg(F.max("ds")).collect()[0][0]
        today = stock.where(F.col("ds") == F.lit(last)).join(demand.drop("known_at", "pair_id"), ["store_id", "product_id", "ds"])
        today = today.where(F.col("on_hand").isNotNull())
        wanted = ["ds", "store_id", "product_id", "supplier_id", *[n for n in service_features("stock_v1") if n != "supplier_id"]]
        ordered = today.select(*wanted).mapInPandas(_ordering(model, version), ORDERS.spark_schema())
        return ordered.withColumn("rank", F.row_number().over(Window.orderBy(F.desc("money_at_risk"), "store_id", "product_id")))

    def example(self, test: DataFrame) -> pd.DataFrame:
        """Two requests with their features."""
        keys = pd.DataFrame({"store_id": ["S1", "S1"], "product_id": ["slow", "fast"]})
        names = [name for name in service_features("stock_v1") if name not in ("supplier_id", "on_hand", "on_order")]
        values = pd.DataFrame({name: [1.0, 2.0] for name in names}).assign(origin_day=17_000.0, on_hand=[1.0, 4.0], on_order=[0.0, 6.0])
        return pd.concat([keys, values], axis=1)


def _ordering(model: Portable, version: str):
    def order(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for every in frames:
            frame = every[sold(every)].reset_index(drop=True)
            if frame.empty:
                continue
            found = model.predict(frame).set_index("item").sort_index()
            keys = frame[["ds", "store_id", "product_id", "supplier_id"]].rename(columns={"ds": "as_of"}).reset_index(drop=True)
            yield pd.concat([keys, found], axis=1).assign(rank=0, model_version=version)[ORDERS.names]

    return order


def _judged(frame: pd.DataFrame) -> pd.DataFrame:
    """Replay every pair with all of its snapshots in `frame`."""
    rows = whole(frame, REVIEWS)
    outcome = replay(rows)
    parts = pd.DataFrame({
        "segment": rows["segment"].to_numpy()[::REVIEWS], "money": outcome.money / (REVIEWS - WARM_UP),
        "demanded": outcome.demanded, "served": outcome.served,
    })  # fmt: skip
    scores = []
    for segment, part in {"all": parts, **dict(iter(parts.groupby("segment")))}.items():
        scores.append((segment, "cost", part["money"].mean()))
        scores.append((segment, "unfilled", 1.0 - part["served"].sum() / max(part["demanded"].sum(), 1e-9)))
    return pd.DataFrame(scores, columns=["segment", "metric", "value"])


FAMILY = StockFamily()
