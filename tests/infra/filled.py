"""Rows for tables without Spark: of the lake, and of the warehouse as `publish` brings months of the lake there."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
from deltalake import write_deltalake

from infra.lake import MONTH, Lake
from infra.tables import Table
from infra.warehouse import WHOLE, Swap, Warehouse, declare


def fill(warehouse: Warehouse, table: Table, frame: pd.DataFrame, months: Sequence[str] = ()) -> None:
    """Swap in the `months` (YYYYMM; those of the rows by default) of a table: they hold the rows of `frame` and no others."""
    own = sorted({f"{pd.Timestamp(day):%Y%m}" for day in frame[table.day]}) if table.day else [WHOLE]
    with warehouse.client() as client:
        declare(client)
        with Swap(client, table) as swap:
            swap.fill([arrow_rows(table, frame)])
            swap.into(months or own)


def lay(lake: Lake, table: Table, frame: pd.DataFrame) -> None:
    """Make a table with a day that holds the rows of `frame`, as Spark would, a folder a month; columns that it lacks are null."""
    rows = arrow_rows(table, frame.assign(**dict.fromkeys(set(table.names) - set(frame))))
    months = pa.array([f"{day:%Y-%m}" for day in frame[table.day]])
    write_deltalake(lake.path(table).removeprefix("file://"), rows.append_column(MONTH, months), mode="overwrite", partition_by=[MONTH])


def arrow_rows(table: Table, frame: pd.DataFrame) -> pa.Table:
    """The declared columns of `frame` in their declared types."""
    return pa.Table.from_pandas(frame[table.names], schema=table.arrow_schema(), preserve_index=False)
