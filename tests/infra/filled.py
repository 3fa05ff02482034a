"""Rows for the warehouse's tables, as `publish` brings months of the lake there."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

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


def arrow_rows(table: Table, frame: pd.DataFrame) -> pa.Table:
    """The declared columns of `frame` in their declared types."""
    return pa.Table.from_pandas(frame[table.names], schema=table.arrow_schema(), preserve_index=False)
