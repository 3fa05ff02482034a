"""What competes to recommend, on Spark: popularity and personal frequency as baselines, item-item, ALS and the learned
blend. A contender makes lists for the customers it is asked about from a bounded number of candidates each, so that
customers x products is never formed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from infra.errors import NotReady
from training.recommend.card import MOST_K
from training.recommend.cooccurrence import neighbours
from training.recommend.model import RecommendModel

if TYPE_CHECKING:
    import optuna

#: products ranked for a customer by habit, and the popular ones that everyone may be offered
OWN, EVERYONE = 150, 50
#: strongest habits of a customer whose companions are looked at
SPREAD = 60
#: customers that a product needs to be factorised
FEWEST_BUYERS = 3
#: customers whose lists are exported with a portable model; the others get what sells
EXPORTED = 200_000


@dataclass(frozen=True)
class Listed:
    """A fitted contender: `lists_for(customers)` gives customer_id, product_id, score, why for a frame of distinct
    customer_id; `everyone` is the same without customers, for strangers and short lists."""

    recipe: str
    train: DataFrame
    origin: date
    everyone: DataFrame
    lists_for: Callable[[DataFrame], DataFrame]
    params: Mapping[str, Any] = field(default_factory=dict)
    spark_model: Any = None

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with arrays `products` and `scores`, best first, MOST_K long where there are as many."""
        # used three times below: a `limit` upstream must not give other customers each time
        frame = frame.localCheckpoint()
        rows = self.ranked(frame.select("customer_id").distinct())
        inner = F.struct("rank", "product_id", "score")
        lists = rows.groupBy("customer_id").agg(F.array_sort(F.collect_list(inner)).alias("_rows"))
        lists = lists.select("customer_id", F.col("_rows.product_id").alias("products"), F.col("_rows.score").alias("scores"))
        return frame.join(lists, "customer_id", "left")

    def ranked(self, customers: DataFrame) -> DataFrame:
        """`customer_id, product_id, rank, score, why` of each customer, filled up from `everyone`."""
        best = self.lists_for(customers).withColumn("rank", F.row_number().over(_best_first())).where(F.col("rank") <= MOST_K)
        row = F.struct("rank", "product_id", "score", "why")
        own = best.groupBy("customer_id").agg(
            F.array_sort(F.collect_list(row)).alias("own"),
            F.collect_list("product_id").alias("have"),  # taken out of `own` it would be made anew for every product of `everyone`
        )
        ordered = F.array_sort(F.collect_list(F.struct((-F.col("score")).alias("first"), "product_id", "score", "why")))
        both = customers.join(own, "customer_id", "left").crossJoin(F.broadcast(self.everyone.agg(ordered.alias("everyone"))))
        # a filling never claims more than the last product of the customer's own list
        rows = both.selectExpr(
            "customer_id", "coalesce(own, array()) AS own", "array_min(own.score) AS lowest",
            "filter(everyone, e -> own IS NULL OR NOT array_contains(have, e.product_id)) AS others",
        ).selectExpr(
            "customer_id",
            "concat(transform(own, o -> struct(o.product_id, o.score, o.why)), transform(others, e -> struct(e.product_id AS product_id, "
            "coalesce(lowest - abs(lowest) / (1.0D + e.score), e.score) AS score, e.why AS why))) AS listed",
        )  # fmt: skip
        cut = rows.select("customer_id", F.posexplode(F.slice("listed", 1, MOST_K)).alias("place", "each"))
        return cut.select("customer_id", "each.product_id", (F.col("place") + 1).alias("rank"), "each.score", "each.why")

    def portable(self) -> RecommendModel:
        """Everyone's lists in plain arrays; collects customers x MOST_K rows, at most EXPORTED customers, the newest."""
        newest = self.train.where("customer_id is not null").groupBy("customer_id").agg(F.max("ds").alias("_last"))
        customers = newest.orderBy(F.desc("_last"), "customer_id").limit(EXPORTED).select("customer_id")
        strangers = self.everyone.withColumn("customer_id", F.lit(""))
        columns = ["customer_id", "product_id", "score", "why"]
        lists = self.ranked(customers).unionByName(strangers.withColumn("rank", F.row_number().over(_best_first())))
        frame = lists.toPandas().sort_values(["customer_id", "rank"])[columns].reset_index(drop=True)
        near = (
            neighbours(self.train, self.origin).toPandas().sort_values(["product_id", "share", "other_id"], ascending=[True, False, True])
        )
        near = near[["product_id", "other_id", "share"]].reset_index(drop=True)
        return RecommendModel(frame, near, self.origin.isoformat(), self.recipe, self.params)


def _best_first() -> WindowSpec:
    return Window.partitionBy("customer_id").orderBy(F.desc("score"), "product_id")


@dataclass
class Popularity:
    """What sold most in the last four weeks, for everyone."""

    name: str = "popularity"
    baseline: bool = True

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        return {}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> Listed:
        origin, everyone = newest_day(train), popular(train)
        nobody = everyone.withColumn("customer_id", F.lit("")).where("false")
        return Listed(self.name, train, origin, everyone, lambda customers: nobody)


@dataclass
class PersonalFrequency:
    """What the customer bought on most days; the latest first among equals."""

    name: str = "personal_frequency"
    baseline: bool = True

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        return {}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> Listed:
        origin = newest_day(train)
        habits = own_products(train, origin)

        def lists(customers: DataFrame) -> DataFrame:
            own = habits.join(customers, "customer_id", "left_semi")
            score = _squashed(F.col("days") + 1.0 / (2.0 + F.col("ago")))
            return own.select("customer_id", "product_id", score.alias("score"), _habit_words())

        return Listed(self.name, train, origin, popular(train), lists)


@dataclass
class ItemItem:
    """Own purchases, decayed, and what goes into the same baskets with them (cosine of co-occurrence)."""

    name: str = "item_item"
    baseline: bool = False
    weight: float = 0.1

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        return {}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> Listed:
        origin = newest_day(train)
        near, habits = neighbours(train, origin).persist(), own_products(train, origin)

        def lists(customers: DataFrame) -> DataFrame:
            own = habits.join(customers, "customer_id", "left_semi")
            alike = own.where(F.col("place") <= SPREAD).join(F.broadcast(near), "product_id")
            weight = self.weight * F.col("decay") * F.col("cosine")
            spread = alike.select(
                "customer_id", F.col("other_id").alias("product_id"), weight.alias("score"), F.col("product_id").alias("why")
            )
            both = spread.unionByName(own.select("customer_id", "product_id", F.col("decay").alias("score"), F.lit("").alias("why")))
            summed = both.groupBy("customer_id", "product_id").agg(
                _squashed(F.sum("score")).alias("score"), F.max_by("why", "score").alias("why")
            )
            said = F.when(F.col("why") == "", "bought before").otherwise(F.concat(F.lit("bought in the same baskets as "), "why"))
            return summed.withColumn("why", said)

        return Listed(self.name, train, origin, popular(train), lists)


@dataclass
class FactorModel:
    """MLlib's ALS on implicit preferences (Hu, Koren, Volinsky 2008): decayed purchases are the confidence."""

    name: str = "als"
    baseline: bool = False

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        return {
            "rank": trial.suggest_categorical("rank", [8, 16, 24]),
            "regularisation": trial.suggest_float("regularisation", 0.02, 0.5, log=True),
            "alpha": trial.suggest_float("alpha", 1.0, 20.0, log=True),
        }

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> Listed:
        from pyspark.ml import Pipeline
        from pyspark.ml.feature import StringIndexer
        from pyspark.ml.recommendation import ALS

        origin, everyone = newest_day(train), popular(train)
        ratings = _ratings(train, origin)
        # a product or customer that ALS has not seen gets no row: popularity fills the list
        index = StringIndexer(inputCols=["customer_id", "product_id"], outputCols=["_user", "_item"], handleInvalid="skip")
        als = ALS(
            userCol="_user", itemCol="_item", ratingCol="decay", implicitPrefs=True, coldStartStrategy="drop", rank=params["rank"],
            regParam=params["regularisation"], alpha=params["alpha"], maxIter=5, numUserBlocks=4, numItemBlocks=4, seed=17,
        )  # fmt: skip
        model = Pipeline(stages=[index, als]).fit(ratings)

        def lists(customers: DataFrame) -> DataFrame:
            own = ratings.join(customers, "customer_id", "left_semi").select("customer_id", "product_id")
            offered = own.unionByName(customers.crossJoin(F.broadcast(everyone.select("product_id")))).distinct()
            score = (1.0 / (1.0 + F.exp(-F.col("prediction").cast("double")))).alias("score")
            scored = model.transform(offered).select("customer_id", "product_id", score)
            return scored.withColumn("why", F.lit("customers with similar purchases bought it"))

        return Listed(self.name, train, origin, everyone, lists, params, model)


def _ratings(train: DataFrame, origin: date) -> DataFrame:
    """The habits that ALS factorises: products with FEWEST_BUYERS or more; the same for every trial on the lines."""
    habits = own_products(train, origin).select("customer_id", "product_id", "decay")
    often = habits.groupBy("product_id").count().where(F.col("count") >= FEWEST_BUYERS).select("product_id")
    # computed twice otherwise, and its cache is found again by the next trial's equal plan
    return habits.join(F.broadcast(often), "product_id").persist()


def newest_day(lines: DataFrame) -> date:
    """The last day of the lines; raises NotReady when there are none."""
    row = lines.agg(F.max("ds")).first()
    if row is None or row[0] is None:
        raise NotReady("no purchase is known yet: run `shelfcast ingest` first.")
    return row[0]


def popular(lines: DataFrame) -> DataFrame:
    """`product_id, score, why` of the EVERYONE best sold products of the last 28 days; the score is the share of baskets."""
    recent = lines.where(F.col("ds") > F.date_sub(F.lit(newest_day(lines)), 28)).where("units > 0")
    baskets = recent.select(F.count_distinct("basket_id").alias("n")).collect()[0]["n"]
    counts = recent.groupBy("product_id").agg(F.count_distinct("basket_id").alias("n"))
    top = counts.orderBy(F.desc("n"), "product_id").limit(EVERYONE)
    why = F.concat(F.lit("sold in "), F.col("n").cast("string"), F.lit(" baskets of the last 28 days"))
    return top.select("product_id", (F.col("n") / float(baskets)).alias("score"), why.alias("why")).localCheckpoint()


def own_products(lines: DataFrame, origin: date) -> DataFrame:
    """`customer_id, product_id, days, ago, decay, place` of the OWN strongest habits of each customer: days with a purchase,
    days since the last, purchases decayed with a half-life of 90 days, 1 = strongest. Kept: every contender on the same
    lines asks for it, and finds it by its equal plan."""
    bought = lines.where("units > 0 and customer_id is not null").select("customer_id", "product_id", "ds").distinct()
    age = F.datediff(F.lit(origin), F.col("ds"))
    habit = bought.groupBy("customer_id", "product_id").agg(
        F.count("*").alias("days"), F.min(age).alias("ago"), F.sum(F.pow(F.lit(0.5), age / 90.0)).alias("decay")
    )
    best = Window.partitionBy("customer_id").orderBy(F.desc("decay"), "product_id")
    return habit.withColumn("place", F.row_number().over(best)).where(F.col("place") <= OWN).persist()


def _squashed(score: Column) -> Column:
    """A score of 0 and more into 0..1, its order kept, so that a basket's shares can be joined with it."""
    return score / (1.0 + score)


def _habit_words() -> Column:
    ago = F.concat(F.lit(" day(s), last "), F.col("ago").cast("string"), F.lit(" day(s) ago"))
    return F.concat(F.lit("bought on "), F.col("days").cast("string"), ago).alias("why")
