"""The recommend family: every known basket line, rolling origins, lists judged by what customers bought next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.purchases import PURCHASES, purchases
from infra.errors import BadInput
from infra.lake import Lake
from infra.settings import Settings
from training.family import Card, Contender, Fitted, Fold
from training.parity import largest_gap
from training.portable import Portable
from training.recommend.blended import Blended
from training.recommend.card import CARD, DEFAULT_K
from training.recommend.contenders import EXPORTED, FactorModel, ItemItem, Listed, PersonalFrequency, Popularity, newest_day
from training.recommend.metrics import score_list
from training.recommend.model import RecommendModel
from training.recommend.purchases import LINE_COLUMNS
from training.tables import RECOMMENDATIONS

if TYPE_CHECKING:
    from infra.tables import Table

#: days judged after each origin, rolling origins, and baskets that make a customer a regular
WINDOW, ORIGINS, REGULAR = 28, 2, 24
METRICS = ("one_minus_recall", "one_minus_ndcg", "miss_rate")


class Recommend:
    """The family object; see `training.family.Family`."""

    card: Card = CARD
    sources: Sequence[Table] = PURCHASES
    decisions: Table = RECOMMENDATIONS

    def dataset(self, spark: SparkSession, settings: Settings) -> DataFrame:
        """Every basket line that is known; examples are cut from it at each origin by `folds`."""
        # tills may number their receipts anew each day: what went together is told by store and day too
        basket = F.concat_ws("/", "store_id", "ds", "basket_id").alias("basket_id")
        lines = purchases(spark, Lake(settings.lake_url))
        return lines.select(*[basket if name == "basket_id" else name for name in LINE_COLUMNS])

    def folds(self, data: DataFrame) -> list[Fold]:
        """The last windows, oldest first: lines up to the origin, and what each customer of them bought in the window."""
        row = data.agg(F.min("ds"), F.max("ds")).first()
        if row is None or row[0] is None:
            return []
        first, last = row
        window = min(WINDOW, ((last - first).days + 1) // (2 * ORIGINS + 1))
        origins = [last - timedelta(days=window * back) for back in range(ORIGINS, 0, -1)]
        folds = [_fold(data, origin, window) for origin in origins if window >= 1 and origin - timedelta(days=window) >= first]
        # tills that know no customers tell nothing of what one of them bought
        return [fold for fold in folds if not fold.test.isEmpty()]

    def contenders(self) -> list[Contender]:
        """Two baselines, item-item, MLlib's ALS and the learned blend."""
        return [Popularity(), PersonalFrequency(), ItemItem(), FactorModel(), Blended()]

    def judge(self, fitted: Fitted, fold: Fold) -> pd.DataFrame:
        """One minus recall, NDCG and hit rate at 10, by segment and pooled."""
        lists = fitted.predict(fold.test).select("segment", "wanted", "products")
        rows = lists.mapInPandas(_judged, "segment string, metric string, value double")
        by_segment = rows.groupBy("segment", "metric").agg(F.mean("value").alias("value"))
        pooled = rows.groupBy(F.lit("all").alias("segment"), "metric").agg(F.mean("value").alias("value"))
        return by_segment.unionByName(pooled).toPandas().sort_values(["segment", "metric"], ignore_index=True)

    def finish(self, fitted: Fitted, data: DataFrame) -> Portable:
        """The lists of the refitted contender; they need no calibration."""
        return fitted.portable()

    def score(self, spark: SparkSession, settings: Settings, model: Portable, version: str, day: date | None = None) -> DataFrame:
        """Ten products for every customer: the champion's own lists, or its recipe on the newest lines when there are newer
        ones than it has seen, or more customers than its lists hold."""
        assert isinstance(model, RecommendModel)
        if day is not None:
            raise BadInput(f"--day is {day}: recommend makes its lists of all that is known now, and cannot look back; expected no day")
        data = self.dataset(spark, settings)
        newest = newest_day(data)
        whole = len(model.customers) < EXPORTED
        rows = _stored(spark, model) if whole and newest <= date.fromisoformat(model.origin) else self._again(data, model)
        return rows.where(F.col("rank") <= DEFAULT_K).withColumn("origin", F.lit(newest)).withColumn("model_version", F.lit(version))

    def _again(self, data: DataFrame, model: RecommendModel) -> DataFrame:
        contender = next(c for c in self.contenders() if c.name == model.recipe)
        data = data.localCheckpoint()  # history and baskets are joined once, not by every query of the fit
        listed = contender.fit(data, model.params)
        assert isinstance(listed, Listed)
        return listed.ranked(data.where("customer_id is not null").select("customer_id").distinct())

    def parity(self, fitted: Fitted, portable: Portable, sample: DataFrame) -> float:
        """Largest relative difference of scores over the sample's lists, as far as they are exported; a different product anywhere
        counts as 1."""
        assert isinstance(portable, RecommendModel)
        exported = [row[0] for row in sample.select("customer_id").collect() if row[0] in portable.customers]
        asked = fitted.predict(sample.where(F.col("customer_id").isin(exported)).select("customer_id")).toPandas()
        said = portable.predict(asked[["customer_id"]])
        gaps = [_gap(row, said[said["item"] == item]) for item, row in enumerate(asked.itertuples())]
        return float(max(gaps, default=0.0))

    def example(self, test: DataFrame) -> pd.DataFrame:
        """Two requests."""
        rows = test.select("customer_id", "wanted").orderBy("customer_id").limit(2).toPandas()
        baskets = [list(wanted)[:2] for wanted in rows["wanted"]]
        return pd.DataFrame({"customer_id": rows["customer_id"], "k": float(DEFAULT_K), "basket": baskets})


def _fold(data: DataFrame, origin: date, window: int) -> Fold:
    train = data.where(F.col("ds") <= F.lit(origin))
    last = origin + timedelta(days=window)
    bought = data.where(
        (F.col("ds") > F.lit(origin)) & (F.col("ds") <= F.lit(last)) & (F.col("units") > 0) & F.col("customer_id").isNotNull()
    )
    wanted = bought.groupBy("customer_id").agg(F.sort_array(F.collect_set("product_id")).alias("wanted"))
    baskets = train.where("units > 0").groupBy("customer_id").agg(F.count_distinct("basket_id").alias("_n"))
    segment = F.when(F.col("_n") >= REGULAR, "regular").otherwise("occasional").alias("segment")
    # a row a customer, asked for by every contender
    return Fold(origin, train, wanted.join(baskets, "customer_id").select("customer_id", segment, "wanted").localCheckpoint())


def _judged(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    for frame in frames:
        rows = [
            (segment, metric, 1.0 - value)
            for segment, wanted, products in zip(frame["segment"], frame["wanted"], frame["products"], strict=True)
            for metric, value in zip(METRICS, score_list(list(products)[:DEFAULT_K], set(wanted), DEFAULT_K), strict=True)
        ]
        yield pd.DataFrame(rows, columns=["segment", "metric", "value"])


def _stored(spark: SparkSession, model: RecommendModel) -> DataFrame:
    lists = model.lists[model.lists["customer_id"] != ""]
    rank = (lists.groupby("customer_id", sort=False).cumcount() + 1).astype("int32")
    return spark.createDataFrame(lists.assign(rank=rank)[[*lists.columns, "rank"]][rank <= DEFAULT_K])


def _gap(row, said: pd.DataFrame) -> float:
    """Of the first DEFAULT_K products of one customer."""
    products, scores = list(row.products)[:DEFAULT_K], np.asarray(row.scores[:DEFAULT_K], dtype=float)
    if products != said["product_id"].tolist():
        return 1.0
    return largest_gap(said["score"], scores, floor=1e-9)


FAMILY = Recommend()
