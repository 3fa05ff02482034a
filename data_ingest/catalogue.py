"""Declaring stores, products and known purchases to the lake: what is there already and has another key stays."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from data_ingest.tables import PRODUCTS, PURCHASE_HISTORY, STORES
from infra.alone import alone
from infra.errors import BadInput
from infra.lake import Lake
from infra.settings import Settings
from infra.tables import Table, require_columns

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

#: the lock of the tables below: each is read, changed and written whole, so that of two at once one would lose the other's rows
DIMENSIONS = "dimensions"
_ARROW = {"string": pa.string(), "double": pa.float64(), "int": pa.int32(), "bigint": pa.int64(), "date": pa.date32()}


class Declared(NamedTuple):
    """What a declaration brought: rows that are new, and known ones that lacked something which it tells."""

    new: int
    completed: int


def declare_stores(spark: SparkSession, settings: Settings, stores: pd.DataFrame, *, keep: bool = False) -> Declared:
    """Add `stores` (columns of STORES) to the lake; the same store again is replaced, or with `keep` stays, but for what is null of it."""
    return _declare(spark, settings, stores, STORES, keep)


def require_same_offset(lake: Lake, store_ids: np.ndarray, utc_offset_hours: float, where: str) -> None:
    """Raise BadInput, beginning with `where`, for one of the stores that is known with another offset: the days of its files would
    begin at different moments."""
    known = lake.read_pandas(STORES, ["store_id", "utc_offset_hours"]) if lake.exists(STORES) else pd.DataFrame(columns=STORES.names)
    offsets = known.set_index("store_id")["utc_offset_hours"].astype(float).fillna(0.0)
    other = offsets[offsets.index.isin(store_ids) & (offsets != utc_offset_hours)]
    if len(other):
        raise BadInput(
            f"{where}: store {other.index[0]!r} is known with utc_offset_hours {other.iloc[0]:g}, and {utc_offset_hours:g} was given; "
            "expected the same for every file of a store"
        )


def declare_products(spark: SparkSession, settings: Settings, products: pd.DataFrame, *, keep: bool = False) -> Declared:
    """Add `products` (columns of PRODUCTS) to the lake; the same product again is replaced, or with `keep` stays, but for what is
    null of it."""
    return _declare(spark, settings, products, PRODUCTS, keep)


def remember_purchases(spark: SparkSession, settings: Settings, lines: pa.Table) -> int:
    """Add basket lines (columns of PURCHASE_HISTORY, `ds` as date32) to the lake; a basket and product that are known
    are left alone. Returns how many were new."""
    with alone(settings, DIMENSIONS, wait=True):
        return _remember(spark, Lake(settings.lake_url), lines)


def _remember(spark: SparkSession, lake: Lake, lines: pa.Table) -> int:
    rows = pa.table({c.name: lines[c.name].cast(_ARROW[c.type]) for c in PURCHASE_HISTORY.columns})
    # Arrow comes in hundreds of slices, each of which would write a file a month
    frame = spark.createDataFrame(rows).coalesce(spark.sparkContext.defaultParallelism)
    if not lake.exists(PURCHASE_HISTORY):
        lake.overwrite(frame, PURCHASE_HISTORY)
        return lines.num_rows
    there = lake.read(spark, PURCHASE_HISTORY)
    key = list(PURCHASE_HISTORY.key)
    new = frame.join(there.select(*key), key, "left_anti").select(*PURCHASE_HISTORY.names).toPandas()
    if len(new):
        days = sorted(set(new["ds"]))
        lake.replace_days(
            there.filter(_is_one_of(days)).unionByName(spark.createDataFrame(new, PURCHASE_HISTORY.spark_schema())), PURCHASE_HISTORY, days
        )
    return len(new)


def _is_one_of(days: list[date]) -> Column:
    from pyspark.sql import functions as F

    month = F.date_format("ds", "yyyy-MM")
    return month.isin(sorted({f"{day:%Y-%m}" for day in days})) & F.col("ds").isin(days)


def _declare(spark: SparkSession, settings: Settings, frame: pd.DataFrame, table: Table, keep: bool) -> Declared:
    require_columns(frame, table.names, f"table {table.name}")
    with alone(settings, DIMENSIONS, wait=True):
        return _add(spark, Lake(settings.lake_url), frame, table, keep)


def _add(spark: SparkSession, lake: Lake, frame: pd.DataFrame, table: Table, keep: bool) -> Declared:
    told = frame[table.names].drop_duplicates(list(table.key))
    there = lake.read_pandas(table) if lake.exists(table) else told.iloc[:0]
    known, completed = _completed(there, told, table) if keep else (there, 0)
    parts = [known, told] if keep else [told, known]
    merged = _as_arrow(pd.concat([p[table.names] for p in parts if len(p)]).drop_duplicates(list(table.key)), table)
    if len(there) and merged.equals(_as_arrow(there, table)):
        return Declared(0, 0)
    lake.overwrite(spark.createDataFrame(merged), table)
    return Declared(merged.num_rows - len(there), completed)


def _completed(there: pd.DataFrame, told: pd.DataFrame, table: Table) -> tuple[pd.DataFrame, int]:
    """The rows of `there` with what is null of them as `told` has it, and of how many something was."""
    key = list(table.key)
    known = there.set_index(key).astype(object)
    more = told.set_index(key).reindex(known.index).astype(object)
    lacking = known.isna()
    if "description" in known:  # a product that nobody has described yet is called by its id
        lacking["description"] |= known["description"] == known.index
        more["description"] = more["description"].mask(more["description"] == more.index)
    filled = lacking & more.notna()
    return known.mask(filled, more).reset_index(), int(filled.any(axis=1).sum())


def _as_arrow(frame: pd.DataFrame, table: Table) -> pa.Table:
    ordered = frame.sort_values(list(table.key))
    return pa.table({c.name: pa.array(ordered[c.name], _ARROW[c.type], from_pandas=True) for c in table.columns})
