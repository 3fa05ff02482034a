"""Bring the silver tables up to date with bronze."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from data_ingest.facts import store_days as open_days
from data_ingest.facts.baskets import baskets
from data_ingest.facts.days import Days, span
from data_ingest.facts.deliveries import deliveries
from data_ingest.facts.lead_times import lead_times
from data_ingest.facts.news import News, mark_path, read_news
from data_ingest.facts.price_daily import price_daily, price_spans, repriced_days
from data_ingest.facts.promotions import promotions
from data_ingest.facts.sales_daily import sales_daily
from data_ingest.facts.stock_daily import moves, restocked_days, stock_daily
from data_ingest.facts.visits_daily import visits_daily
from data_ingest.tables import (
    BASKETS,
    DELIVERIES,
    FACTS,
    LEAD_TIMES,
    PRICE_DAILY,
    PRODUCTS,
    PROMOTIONS,
    SALES_DAILY,
    STOCK_DAILY,
    STORE_DAYS,
    STORES,
    VISITS_DAILY,
)  # fmt: skip
from infra.alone import alone
from infra.lake import Lake
from infra.publish import publish
from infra.settings import Settings
from infra.tables import Table
from infra.together import together

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: done, total, what is being done
Progress = Callable[[int, int, str], None]


@dataclass
class FactsSummary:
    """What one run recomputed: `days` by table (0 for a table that is written whole), and the last known day."""

    days: dict[str, int] = field(default_factory=dict)
    last: date | None = None


def facts(spark: SparkSession, settings: Settings, *, progress: Progress | None = None) -> FactsSummary:
    """Recompute the silver tables for the days that events new in bronze touch, in lake and warehouse.

    How far it came is written down last, so a run that was killed is repeated: each table's days are replaced whole, in
    one commit, and the same again changes nothing. Raises NotReady before the first ingest."""
    # not the ingest's lock: bronze is read at fixed versions, while a stream may go on
    with alone(settings, "facts"):
        news = read_news(spark, settings)
        work = _Work(spark, settings, news)
        stages, begun = work.stages(), itertools.count()
        total = sum(map(len, stages))

        def told(table: Table, step: Callable[[], None]) -> None:
            if progress:
                progress(next(begun), total, table.name)
            step()

        for stage in stages:
            together([partial(told, table, step) for table, step in stage])
        if progress:
            progress(total, total, "copying to the warehouse")
        publish(settings, *FACTS, STORES, PRODUCTS)
        replace(news.mark, last=work.last).save(mark_path(settings))
    if progress:
        progress(total, total, "facts are up to date")
    return work.summary


class _Work:
    """One run: what is new, and the step of each table that has to move."""

    def __init__(self, spark: SparkSession, settings: Settings, news: News) -> None:
        self.spark, self.news, self.lake = spark, news, Lake(settings.lake_url)
        self.touched = news.touched_days()
        known = [day for day in (news.mark.last, max(self.touched, default=None)) if day]
        self.last = max(known)
        #: days that nobody knew of before: every panel grows by them
        self.grown = set(span(news.mark.last, self.last)[1:]) if news.mark.last else set()
        self.summary = FactsSummary(last=self.last)

    def stages(self) -> list[list[tuple[Table, Callable[[], None]]]]:
        """The tables to bring up to date, each with its step: the calendar of the stores, then what needs it or nothing."""
        if not self.touched:
            return []
        steps = [(SALES_DAILY, self._sales_daily), (BASKETS, self._baskets), (VISITS_DAILY, self._visits_daily),
                 (PRICE_DAILY, self._price_daily), (STOCK_DAILY, self._stock_daily)]  # fmt: skip
        if self.news.everything or "pos" in self.news.added:
            steps.append((PROMOTIONS, self._promotions))
        if self.news.everything or "supply" in self.news.added:
            steps += [(LEAD_TIMES, self._lead_times), (DELIVERIES, self._deliveries)]
        return [[(STORE_DAYS, self._store_days)], steps]

    def _store_days(self) -> None:
        first_new = self._first_days(self.news.added.values())
        before = {} if self.news.everything else self._first_days([self.lake.read(self.spark, STORE_DAYS)])
        # a store that is new, or known from an earlier day than before, has a row for every day from there on
        begun = [span(day, before.get(store, self.last)) for store, day in first_new.items() if store not in before or day < before[store]]
        days = Days.of(self.touched, self.grown, *begun)
        firsts = {store: min(day for day in (first_new.get(store), before.get(store)) if day) for store in {*first_new, *before}}
        heard = open_days.heard(*(days.only(self.news.bronze[topic]) for topic in ("sales", "pos")))
        self._write(STORE_DAYS, lambda: open_days.store_days(heard, firsts, days), days)

    def _first_days(self, frames) -> dict[str, date]:
        rows = [row for frame in frames for row in frame.groupBy("store_id").agg({"ds": "min"}).toDF("store_id", "first").collect()]
        found: dict[str, date] = {}
        for row in rows:
            found[row.store_id] = min(row.first, found.get(row.store_id, row.first))
        return found

    def _sales_daily(self) -> None:
        days = self._days_of("sales")
        self._write(SALES_DAILY, lambda: sales_daily(days.only(self.news.bronze["sales"])), days)

    def _baskets(self) -> None:
        days = self._days_of("sales")
        self._write(BASKETS, lambda: baskets(days.only(self.news.bronze["sales"])), days)

    def _visits_daily(self) -> None:
        days = self._days_of("visits", "sales")
        bronze = self.news.bronze
        self._write(VISITS_DAILY, lambda: visits_daily(days.only(bronze["visits"]), days.only(bronze["sales"])), days)

    def _price_daily(self) -> None:
        spans = price_spans(self.news.bronze["pos"], self.last).persist()
        changed = repriced_days(self.news.added["pos"], spans) if "pos" in self.news.added else set()
        days = Days.of(changed, self.grown)
        self._write(PRICE_DAILY, lambda: price_daily(spans, days), days)
        spans.unpersist()

    def _stock_daily(self) -> None:
        days = self._restocked()
        self._write(STOCK_DAILY, lambda: self._stock_of(days), days)

    def _restocked(self) -> Days:
        bronze, added = self.news.bronze, self.news.added
        if self.news.everything:
            first = bronze["stock"].agg({"ds": "min"}).collect()[0][0]
            return Days.of(span(first, self.last) if first else ())
        parts = [added.get(name, bronze[name].limit(0)) for name in ("stock", "sales")]
        # a day may have turned from closed to open, so every touched day counts
        return Days.of(restocked_days(moves(*parts), bronze["stock"], self.last), self.grown, self.touched)

    def _stock_of(self, days: Days) -> DataFrame:
        """Stock from the last open day of each store before `days`: every pair that had stock by then has a row there."""
        from pyspark.sql import functions as F

        bronze, open_days_ = self.news.bronze, self.lake.read(self.spark, STORE_DAYS)
        stores = self.lake.read(self.spark, STORES) if self.lake.exists(STORES) else self.spark.createDataFrame([], STORES.spark_schema())
        moved = moves(bronze["stock"], bronze["sales"]).where(f"ds <= DATE '{days.last}'")
        seeds = None
        if not self.news.everything:
            anchors = (
                open_days_.where(f"status = 'open' AND ds < DATE '{days.first}'")
                .groupBy("store_id")
                .agg({"ds": "max"})
                .toDF("store_id", "anchor")
            )
            known = [(row.store_id, row.anchor) for row in anchors.collect()]
            anchors = F.broadcast(self.spark.createDataFrame(known, "store_id string, anchor date"))
            since = min((anchor for _, anchor in known), default=days.first)
            seeds = (
                self.lake.read(self.spark, STOCK_DAILY)
                .where(f"ds >= DATE '{since}'")
                .join(anchors, "store_id")
                .where("ds = anchor")
                .drop("anchor")
            )
            moved = moved.join(anchors, "store_id", "left").where("anchor IS NULL OR ds > anchor").drop("anchor")
        return stock_daily(moved, seeds, stores, open_days_, days)

    def _promotions(self) -> None:
        self._write(PROMOTIONS, lambda: promotions(self.news.bronze["pos"]), None)

    def _lead_times(self) -> None:
        self._write(LEAD_TIMES, lambda: lead_times(self.news.bronze["supply"]), None)

    def _deliveries(self) -> None:
        days = self._days_of("supply")
        self._write(DELIVERIES, lambda: deliveries(days.only(self.news.bronze["supply"])), days)

    def _days_of(self, *topics: str) -> Days:
        """The days that new rows of some topics touch."""
        return Days(
            frozenset(replace(self.news, added={name: rows for name, rows in self.news.added.items() if name in topics}).touched_days())
        )

    def _write(self, table: Table, rows: Callable[[], DataFrame], days: Days | None) -> None:
        """Write the table's rows of `days` (the whole table for None); the first time there is a table in any case."""
        if days is not None and not days.every:
            if self.news.everything:
                self.lake.overwrite(self.spark.createDataFrame([], table.spark_schema()), table)
            return
        if days is None or self.news.everything:
            self.lake.overwrite(rows(), table)
        else:
            self.lake.replace_days(rows(), table, days.every)
        self.summary.days[table.name] = len(days.every) if days else 0
