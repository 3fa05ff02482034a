"""What the simulation knows and no shop would: latent demand, lost sales, planted anomalies. Below `<home>/truth`; only
tests and benchmarks may read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_ingest.shelf import ShelfRun
from infra.settings import Settings

DEMAND = pa.schema([("store_id", pa.string()), ("product_id", pa.string()), ("ds", pa.date32()),
                    ("demand", pa.float64()), ("units", pa.float64()), ("in_stock", pa.float64())])  # fmt: skip


def truth_path(settings: Settings, name: str) -> Path:
    """Where a truth file lies; `name` is demand, anomalies or parameters."""
    return settings.home / "truth" / f"{name}.parquet"


def demand_truth(run: ShelfRun, pairs: pd.DataFrame, first: date) -> pa.Table:
    """A row for every pair and day: `demand` (units that would have sold), `units` (sold), `in_stock` (share of the open
    hours with stock)."""
    n, days = run.demand.shape
    pair, day = np.repeat(np.arange(n), days), np.tile(np.arange(days), n)
    ds = np.datetime64(first, "D") + day.astype("timedelta64[D]")
    names = [pa.array(pairs[c].to_numpy(object), pa.string()).take(pa.array(pair)) for c in ("store_id", "product_id")]
    return pa.table([*names, pa.array(ds), *(pa.array(m.ravel()) for m in (run.demand, run.units, run.in_stock))], schema=DEMAND)


@contextmanager
def open_truth(settings: Settings, name: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer of one parquet file that appears whole when the block ends well, replacing what was there."""
    target = truth_path(settings, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    with pq.ParquetWriter(partial, schema) as out:
        yield out
    partial.replace(target)


def write_truth(settings: Settings, name: str, table: pa.Table) -> None:
    """Write one truth file whole."""
    with open_truth(settings, name, table.schema) as out:
        out.write_table(table)
