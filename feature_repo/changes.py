"""From which day on the facts have changed since the features were last built."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from data_ingest.tables import (
    DELIVERIES,
    LEAD_TIMES,
    PRICE_DAILY,
    PRODUCTS,
    PROMOTIONS,
    SALES_DAILY,
    STOCK_DAILY,
    STORE_DAYS,
)
from feature_repo.purchases import PURCHASES
from infra.lake import Lake
from infra.mark import Mark
from infra.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: the silver tables of the daily features, and the column that says from which day on a row of them counts
COUNTS_FROM = {SALES_DAILY: "ds", STOCK_DAILY: "ds", PRICE_DAILY: "ds", STORE_DAYS: "ds", PROMOTIONS: "starts_on",
               LEAD_TIMES: "ordered_on", DELIVERIES: "ds"}  # fmt: skip
#: every table that features are made of; a change in one that is not among COUNTS_FROM concerns all days, or no day
SOURCES = (*COUNTS_FROM, PRODUCTS, *PURCHASES)


def first_changed_day(spark: SparkSession, lake: Lake, mark: Mark) -> date | None:
    """The first day that rows count from which came, went or changed since `mark`, the day after its last at most; None when
    every day may have changed: a table is new or was made anew, files of that time are gone, or the catalogue differs."""
    from pyspark.errors import AnalysisException

    now = Mark.of(lake, SOURCES)
    moved = [table for table in SOURCES if now.versions.get(table.name) != mark.versions.get(table.name)]
    days = [mark.last + timedelta(days=1) if mark.last else date.max]
    for table in (table for table in moved if table in COUNTS_FROM or table == PRODUCTS):
        seen = mark.version(lake, table)
        if seen is None or not lake.files_seen(table, seen):
            return None
        try:
            changed = _changed_rows(spark, lake, table, seen)
        except AnalysisException as error:
            if error.getCondition() == "PATH_NOT_FOUND":  # vacuumed since
                return None
            raise
        if table == PRODUCTS:
            if not changed.isEmpty():
                return None
        elif first := changed.agg({COUNTS_FROM[table]: "min"}).collect()[0][0]:
            days.append(first)
    return min(days)


def _changed_rows(spark: SparkSession, lake: Lake, table: Table, version: int) -> DataFrame:
    """Rows that the table has and had not at `version`, or had and has not. Only files that came or went are read."""
    then, now = lake.files(table, version), lake.files(table)

    def rows(files: set[str]) -> DataFrame:
        if not files:
            return spark.createDataFrame([], table.spark_schema())
        return spark.read.schema(table.spark_schema()).parquet(*sorted(files))

    came, went = rows(now - then), rows(then - now)
    return came.exceptAll(went).unionByName(went.exceptAll(came))
