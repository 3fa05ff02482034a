"""The anomaly family on Spark: days with injected anomalies rank the contenders; the champion scores the newest days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from data_ingest.tables import PRICE_DAILY
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES
from infra.lake import Lake
from infra.settings import Settings
from infra.tables import Table
from training.anomaly.alerts import standing_alerts
from training.anomaly.card import CARD, FEATURES
from training.anomaly.contenders import contenders
from training.anomaly.examples import KEYS, WINDOW, WINDOWS, examples, known_days, newest_day
from training.anomaly.model import ALERT_AT, AnomalyModel
from training.evaluation.metrics import by_segment
from training.family import Card, Contender, Fitted, Fold
from training.parity import largest_gap
from training.portable import Portable
from training.tables import ALERTS
from training.tabular import at_most

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: newest days that a scoring run fills
SCORED_DAYS = 7
#: rows judged on the driver at most
JUDGED_ROWS = 400_000


@dataclass(frozen=True)
class AnomalyFamily:
    """See training.family.Family."""

    card: Card = CARD
    sources: Sequence[Table] = (DEMAND_FEATURES, DEMAND_DAILY, PRICE_DAILY)
    decisions: Table = ALERTS

    def dataset(self, spark: SparkSession, settings: Settings) -> DataFrame:
        """Recent days with channels, anomalies injected into the judged windows."""
        return examples(spark, settings)

    def folds(self, data: DataFrame) -> Sequence[Fold]:
        """The newest windows of days, each judged by what was learned on the days before it."""
        from pyspark.sql import functions as F

        first, last = data.agg(F.min("ds"), F.max("ds")).collect()[0]
        if first is None:
            return []
        origins = [last - timedelta(days=WINDOW * back) for back in range(WINDOWS, 0, -1)]
        return [_fold(data, origin) for origin in origins if (origin - first).days >= WINDOW]

    def contenders(self) -> Sequence[Contender]:
        """Residual bands, pooled tails, KMeans, BisectingKMeans."""
        return contenders()

    def judge(self, fitted: Fitted, fold: Fold) -> pd.DataFrame:
        """One minus average precision and AUC, share of anomalies missed by alerts, false alerts a thousand days; by volume."""
        model, days = fitted.portable(), fold.held_out
        assert isinstance(model, AnomalyModel)
        score = model.score(days)
        found = days[["segment"]].assign(score=score, injected=days["injected"].astype(float), alert=(score >= ALERT_AT).astype(float))
        return by_segment(found, "segment", _METRICS)

    def finish(self, fitted: Fitted, data: DataFrame) -> Portable:
        """The calibrated ranking."""
        return fitted.portable()

    def parity(self, fitted: Fitted, portable: Portable, sample: DataFrame) -> float:
        """Scores by Spark, and by the portable model from the facts and features alone."""
        assert isinstance(portable, AnomalyModel)
        frame = fitted.predict(sample).toPandas()
        mine, theirs = portable.predict(frame)["score"].to_numpy(), frame["score"].to_numpy()
        # the portable model rounds its scores to four decimals
        return largest_gap(mine, theirs.round(4), floor=1.0)

    def score(self, spark: SparkSession, settings: Settings, model: Portable, version: str, day: date | None = None) -> DataFrame:
        """Every pair's newest SCORED_DAYS days, or `day` alone; an alert of the watch on a day of which the facts do not know all
        yet stands."""
        from pyspark.sql import functions as F

        lake = Lake(settings.lake_url)
        last = newest_day(lake.read(spark, DEMAND_DAILY))
        if day is not None:
            return scored(known_days(spark, settings, (last - day).days + 1).where(F.col("ds") == F.lit(day)), model, version)
        standing = standing_alerts(spark, lake, last - timedelta(days=SCORED_DAYS), last)
        judged = known_days(spark, settings, SCORED_DAYS).join(standing.select(*KEYS), list(KEYS), "left_anti")
        return scored(judged, model, version).unionByName(standing)

    def example(self, test: DataFrame) -> pd.DataFrame:
        """Two requests with their online features."""
        frame = pd.DataFrame({"store_id": ["S1", "S1"], "product_id": ["slow", "fast"], "ds": pd.to_datetime(["2024-03-01"] * 2)})
        facts = {"units": [0.0, 40.0], "revenue": [0.0, 80.0], "lines": [0.0, 20.0], "baskets": [0.0, 20.0], "returns": [0.0, 0.0]}
        return pd.concat([frame, pd.DataFrame(facts), pd.DataFrame({name: [0.2, 2.0] for name in FEATURES})], axis=1)


def scored(days: DataFrame, model: Portable, version: str) -> DataFrame:
    """Rows of ALERTS for rows of facts and features, in parallel by the portable model."""

    def alerts(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            rows = frame.reset_index(drop=True)
            found = model.predict(rows)
            keys = rows[["ds", "store_id", "product_id"]].iloc[found["item"]].reset_index(drop=True)
            yield pd.concat([keys, found.reset_index(drop=True)], axis=1).assign(model_version=version)[ALERTS.names]

    return days.mapInPandas(alerts, ALERTS.spark_schema())


def _fold(data: DataFrame, origin: date) -> Fold:
    from pyspark.sql import functions as F

    last = origin + timedelta(days=WINDOW)
    days = data.where((F.col("ds") > F.lit(origin)) & (F.col("ds") <= F.lit(last)))
    return Fold(origin, data.where(F.col("ds") <= F.lit(origin)), at_most(days, JUDGED_ROWS))


def _average_precision(frame: pd.DataFrame) -> float:
    from sklearn.metrics import average_precision_score

    return 1.0 - float(average_precision_score(frame["injected"], frame["score"])) if frame["injected"].any() else float("nan")


def _auc(frame: pd.DataFrame) -> float:
    from sklearn.metrics import roc_auc_score

    return 1.0 - float(roc_auc_score(frame["injected"], frame["score"])) if 0 < frame["injected"].sum() < len(frame) else float("nan")


_METRICS = {
    "one_minus_average_precision": _average_precision,
    "one_minus_auc": _auc,
    "missed": lambda frame: float(1.0 - frame.loc[frame["injected"] > 0, "alert"].mean()),
    "false_alerts_per_1000": lambda frame: float(1000.0 * frame.loc[frame["injected"] == 0, "alert"].mean()),
}

FAMILY = AnomalyFamily()
