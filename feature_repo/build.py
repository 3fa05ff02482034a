"""The story of the features: silver facts become the dense panel, the panel becomes features, Feast serves them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from data_ingest.tables import DELIVERIES, LEAD_TIMES, PRODUCTS, STOCK_DAILY, STORE_DAYS, STORES
from feature_repo import store
from feature_repo.changes import SOURCES, first_changed_day
from feature_repo.customer_features import customer_features_frame
from feature_repo.demand_daily import demand_daily_frame, last_whole_day, read_or_empty, silver
from feature_repo.demand_snapshots import demand_features_frame
from feature_repo.materialize import materialize
from feature_repo.pair_activity import pair_activity_frame
from feature_repo.panel import LONGEST_DAYS
from feature_repo.purchases import purchases
from feature_repo.shut import shut_stores
from feature_repo.stock_features import stock_features_frame
from feature_repo.tables import CUSTOMER_FEATURES, DEMAND_DAILY, DEMAND_FEATURES, GOLD, PAIR_ACTIVITY, STOCK_FEATURES
from infra.alone import alone
from infra.errors import NotReady
from infra.lake import Lake
from infra.mark import Mark
from infra.settings import Settings
from infra.tables import Table
from infra.together import together

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: told before each step and at the end: steps done, steps in all, and which comes now
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class FeaturesSummary:
    """What was built: days from `since` (None: all) to `until`, rows stored online by view, seconds by step; `since` lies
    after `until` where no day had changed."""

    since: date | None
    until: date
    online_rows: Mapping[str, int]
    seconds: Mapping[str, float] = field(default_factory=dict)


def build_features(
    spark: SparkSession, settings: Settings, *, rebuild: bool = False, progress: Progress | None = None, now: datetime | None = None
) -> FeaturesSummary:
    """Bring the gold tables up to date with silver, apply the definitions, store the latest values online. Since a day is
    part of every later window, everything from the first changed day on is made again, and nothing before it; when
    nothing changed since the last whole build, nothing is done. `rebuild`: everything is made again, as it is where a table
    has not all of its declared columns. A day that still runs at `now` (default: the clock) is left for later. Raises NotReady
    where no day of a store is over, and while facts move or other features are built."""
    with alone(settings, "features"), alone(settings, "facts"):
        return _build(spark, settings, rebuild, progress, now or datetime.now(UTC))


def _build(spark: SparkSession, settings: Settings, rebuild: bool, progress: Progress | None, now: datetime) -> FeaturesSummary:
    lake, path = Lake(settings.lake_url), settings.checkpoints / "features.json"
    until = last_whole_day(lake.read(spark, STORE_DAYS), read_or_empty(spark, lake, STORES).toPandas(), now)
    if until is None:
        raise NotReady("no business day is over in every store yet: run `shelfcast ingest` and `shelfcast facts` when one is.")
    here, seen = Mark.of(lake, SOURCES, until), Mark.load(path)
    whole = not rebuild and all(lake.holds(table) for table in GOLD)
    if whole and here == seen:
        return FeaturesSummary(until + timedelta(days=1), until, {})
    since = first_changed_day(spark, lake, seen) if whole else None
    online_rows: dict[str, int] = {}
    first = {"demand_daily": lambda: _write(lake, _panel(spark, lake, until, since), DEMAND_DAILY, since, until)}
    daily = {
        "demand_features": lambda: _write(lake, _demand(spark, lake, until, since), DEMAND_FEATURES, since, until),
        "stock_features": lambda: _write(lake, _stock(spark, lake, until, since), STOCK_FEATURES, since, until),
        "pair_activity": lambda: _write(lake, _activity(spark, lake, since), PAIR_ACTIVITY, since, until),
    }
    weekly = {"customer_features": lambda: lake.overwrite(customer_features_frame(purchases(spark, lake), until), CUSTOMER_FEATURES)}
    apply = {"apply": lambda: store.apply(settings)}
    online = {"materialize": lambda: online_rows.update(materialize(spark, settings, until))}
    moved = since is None or since <= until
    seconds = _run([first, daily | weekly, apply, online] if moved else [weekly, apply, online], progress)
    here.save(path)
    return FeaturesSummary(since, until, online_rows, seconds)


def _run(stages: Sequence[Mapping[str, Callable[[], object]]], progress: Progress | None) -> dict[str, float]:
    """Run the stages one after the other, the steps of a stage together; seconds by step."""
    total, begun, seconds = sum(map(len, stages)), itertools.count(), {}
    say = progress or (lambda done, total, label: None)

    def timed(name: str, step: Callable[[], object]) -> None:
        say(next(begun), total, f"features: {name}")
        started = time.monotonic()
        step()
        seconds[name] = round(time.monotonic() - started, 2)

    for stage in stages:
        together([partial(timed, name, step) for name, step in stage.items()])
    say(total, total, "features: done")
    return seconds


def _write(lake: Lake, frame: DataFrame, table: Table, since: date | None, until: date) -> None:
    if since is None:
        lake.overwrite(frame, table)
    else:
        lake.replace_days(frame, table, [since + timedelta(days=at) for at in range((until - since).days + 1)])


def _panel(spark: SparkSession, lake: Lake, until: date, since: date | None) -> DataFrame:
    return demand_daily_frame(silver(spark, lake), until, since)


def _demand(spark: SparkSession, lake: Lake, until: date, since: date | None) -> DataFrame:
    # no feature is older than what a panel keeps
    known = since or lake.read(spark, STORE_DAYS).agg({"ds": "min"}).collect()[0][0]
    first = max(known, until - timedelta(days=LONGEST_DAYS - 1))
    days = [first + timedelta(days=at) for at in range((until - first).days + 1)]
    shut = spark.createDataFrame(shut_stores(lake, days), "store_id string, ds date")
    return demand_features_frame(lake.read(spark, DEMAND_DAILY), lake.read(spark, PRODUCTS), until, since, shut)


def _stock(spark: SparkSession, lake: Lake, until: date, since: date | None) -> DataFrame:
    daily, products = lake.read(spark, DEMAND_DAILY), lake.read(spark, PRODUCTS)
    stock, lead_times, deliveries = (read_or_empty(spark, lake, table) for table in (STOCK_DAILY, LEAD_TIMES, DELIVERIES))
    return stock_features_frame(daily, stock, lead_times, deliveries, products, until, since)


def _activity(spark: SparkSession, lake: Lake, since: date | None) -> DataFrame:
    return pair_activity_frame(lake.read(spark, DEMAND_DAILY), lake.read(spark, PRODUCTS), since)
