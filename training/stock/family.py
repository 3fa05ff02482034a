"""The stock family on Spark: what to order, judged by the money that its orders would have cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from feature_repo.definitions import service_features
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES, STOCK_FEATURES
from infra.lake import Lake
from infra.settings import Settings
from infra.tables import Table
from training.demand.examples import Rows
from training.family import Card, Contender, Fitted, Fold
from training.parity import largest_gap
from training.portable import Portable
from training.rolling import rolling_folds
from training.stock.card import CARD
from training.stock.contenders import contenders
from training.stock.cover import FixedCover
from training.stock.dataset import LONGEST_DAYS, WEEK, examples, state_of
from training.stock.demand_distribution import Demand
from training.stock.lead_time_demand import LEAD_TIME_FEATURES, LeadTimeDemand
from training.stock.model import StockModel, terms_of
from training.stock.policies import Shelf, marginal
from training.stock.simulate import Costs, Outcome, simulate
from training.stock.terms import Terms
from training.tables import ORDERS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: windows judged, the weekly reviews of each, and the pairs simulated on the driver at most (chosen by hash)
FOLDS, REVIEWS, SIMULATED_PAIRS = 3, 4, 1_500


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
        """Windows of four reviews, the newest last; each fitted on what was complete before its first."""
        from pyspark.sql import functions as F

        days = sorted(row[0] for row in data.select("origin").distinct().collect())
        windows = [days[len(days) - REVIEWS * (back + 1) : len(days) - REVIEWS * back] for back in reversed(range(FOLDS))]
        folds = []
        for window in windows:
            if len(window) == REVIEWS:
                for fold in rolling_folds(data, window[:1], LONGEST_DAYS):
                    folds.append(Fold(fold.origin, fold.train, data.where(F.col("origin").isin(window))))
        return folds

    def contenders(self) -> Sequence[Contender]:
        """Fixed cover, the plain arithmetic, MLlib's regressors and XGBoost under it."""
        return contenders()

    def judge(self, predicted: DataFrame) -> pd.DataFrame:
        """Money a pair and week of simulated weekly orders, and the fill rate's complement, pooled and by segment. All
        contenders meet the same demand from the same first stock."""
        from pyspark.sql import functions as F

        columns = ["store_id", "product_id", "origin", "segment", "week", "expected", "patience", "cover", "base"]
        state = [name for name in predicted.columns if name.startswith("state_")]
        kept = predicted.select(*columns, *state).orderBy(F.xxhash64("store_id", "product_id"), "origin").limit(SIMULATED_PAIRS * REVIEWS)
        return _judged(kept.toPandas())

    def finish(self, fitted: Fitted, data: DataFrame) -> Portable:
        """The rule as it was judged."""
        return fitted.portable()

    def parity(self, fitted: Fitted, portable: Portable, sample: DataFrame) -> float:
        """Expected demand of example rows by both; the arithmetic behind it is one."""
        frame = fitted.predict(sample).toPandas()
        if isinstance(portable, FixedCover):
            return largest_gap(np.full(len(frame), portable.days), frame["cover"])
        if not (isinstance(portable, StockModel) and isinstance(portable.demand, LeadTimeDemand)):
            return 0.0
        matrix = frame[list(LEAD_TIME_FEATURES)].to_numpy(dtype=np.float32)
        rows = Rows(LEAD_TIME_FEATURES, matrix, frame["base"].to_numpy(dtype=float), pd.DatetimeIndex([pd.NaT] * len(frame)))
        mine, theirs = portable.demand.mean.predict(rows), frame["expected"].to_numpy(dtype=float)
        return largest_gap(mine, theirs)

    def score(self, spark: SparkSession, settings: Settings, model: Portable, version: str) -> DataFrame:
        """Today's orders, in groups of pairs by the portable model, then ranked by money at risk over all."""
        from pyspark.sql import Window
        from pyspark.sql import functions as F

        lake = Lake(settings.lake_url)
        stock, demand = lake.read(spark, STOCK_FEATURES), lake.read(spark, DEMAND_FEATURES)
        last = stock.agg(F.max("ds")).collect()[0][0]
        today = stock.where(F.col("ds") == F.lit(last)).join(demand.drop("known_at", "pair_id"), ["store_id", "product_id", "ds"])
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
        for frame in frames:
            if frame.empty:
                continue
            found = model.predict(frame).set_index("item").sort_index()
            keys = frame[["ds", "store_id", "product_id", "supplier_id"]].rename(columns={"ds": "as_of"}).reset_index(drop=True)
            yield pd.concat([keys, found], axis=1).assign(rank=0, model_version=version)[ORDERS.names]

    return order


def _judged(frame: pd.DataFrame) -> pd.DataFrame:
    """Simulate every pair with all of its reviews in `frame`, one after the other."""
    counts = frame.groupby(["store_id", "product_id"])["origin"].transform("size")
    whole = frame[counts == REVIEWS].sort_values(["store_id", "product_id", "origin"]).reset_index(drop=True)
    outcome = _replay(whole)
    pairs = whole.iloc[::REVIEWS]
    parts = pd.DataFrame(
        {
            "segment": pairs["segment"].to_numpy(),
            "money": (outcome.holding + outcome.shortage + outcome.fixed) / REVIEWS,
            "demanded": outcome.demanded,
            "served": outcome.served,
        }
    )
    rows = []
    for segment, part in {"all": parts, **dict(iter(parts.groupby("segment")))}.items():
        rows.append((segment, "cost", part["money"].mean()))
        rows.append((segment, "unfilled", 1.0 - part["served"].sum() / max(part["demanded"].sum(), 1e-9)))
    return pd.DataFrame(rows, columns=["segment", "metric", "value"])


def _replay(whole: pd.DataFrame) -> Outcome:
    """The outcome of the frame's rule: `REVIEWS` rows a pair, demand from their weeks, orders on their review days."""
    first = whole.iloc[::REVIEWS].reset_index(drop=True)
    reviews = [state_of(whole.iloc[turn::REVIEWS].reset_index(drop=True)).assign(review_period_days=float(WEEK)) for turn in range(REVIEWS)]
    costs = terms_of(reviews[0])
    demand = np.stack(list(whole["week"])).reshape(len(first), REVIEWS * WEEK)
    lead = np.round((costs.leads * costs.lead_share).sum(axis=1)).astype(int)
    start = np.maximum(
        np.nan_to_num(reviews[0]["on_hand"].to_numpy(dtype=float)) + np.nan_to_num(reviews[0]["on_order"].to_numpy(dtype=float)), 0
    )

    def policy(period: int, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        if period % WEEK:
            return np.zeros(len(stock))
        turn = period // WEEK
        return _orders(whole.iloc[turn::REVIEWS].reset_index(drop=True), reviews[turn], costs, stock, pipeline)

    outcome = simulate(
        policy, demand, start, lead[:, None] + np.zeros((1, demand.shape[1]), int), Costs(costs.holding, costs.shortage, costs.fixed)
    )
    return outcome


def _orders(rows: pd.DataFrame, state: pd.DataFrame, costs: Terms, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
    cover = rows["cover"].to_numpy(dtype=float)
    if np.isfinite(cover).all():
        return FixedCover(float(cover[0])).orders(state["level"].to_numpy(dtype=float), stock + pipeline.sum(axis=1), costs.pack)
    plain = StockModel().expected(state, costs)
    scale = rows["expected"].to_numpy(dtype=float) / np.maximum(rows["base"].to_numpy(dtype=float), 1e-9)
    demand = Demand(plain.mean * scale[:, None], plain.common, plain.single)
    # an order placed now sees what is due from tomorrow on
    return marginal(demand, Shelf(stock, np.pad(pipeline, ((0, 0), (1, 0)))), costs, float(rows["patience"].iloc[0])).order


FAMILY = StockFamily()
