"""Lake to warehouse: what is missing there is copied, in bounded blocks that are made in one pass."""

from __future__ import annotations

import time
from datetime import date

import pandas as pd
import pyarrow as pa
import pytest

from infra import publish as module
from infra.lake import Lake
from infra.publish import _blocks, publish
from infra.tables import Table, columns
from infra.warehouse import Warehouse
from tests.infra.filled import lay
from training.tables import SLOW_MOVERS

T = Table("t", "silver", columns(("k", "string"), ("x", "double")), ("k",))


def batches(*sizes: int) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pydict({"k": ["ab"] * rows, "x": [1.0] * rows}) for rows in sizes]


def test_a_block_ends_with_the_rows_or_the_bytes_that_fill_it(monkeypatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 5)
    assert [block.num_rows for block in _blocks(T, batches(2, 2, 2, 1, 7, 1))] == [6, 8, 1]
    one = module._fitted(batches(2)[0], T.arrow_schema()).nbytes
    monkeypatch.setattr(module, "BLOCK_BYTES", 2 * one)
    assert [block.num_rows for block in _blocks(T, batches(2, 2, 2))] == [4, 2]


def test_many_small_batches_cost_no_more_each_than_few() -> None:
    def seconds_each(count: int) -> float:
        many, begun = batches(*[1] * count), time.process_time()
        assert sum(block.num_rows for block in _blocks(T, many)) == count
        return (time.process_time() - begun) / count

    seconds_each(100)
    assert seconds_each(4000) < 4 * seconds_each(400)


@pytest.mark.parametrize("loss", ["TRUNCATE TABLE slow_movers", "DROP TABLE slow_movers"])
def test_a_table_that_was_lost_alone_is_filled_anew(settings, loss) -> None:
    row = (date(2024, 1, 31), "s", "p", 0.5, "keep", None, "1")
    lay(Lake(settings.lake_url), SLOW_MOVERS, pd.DataFrame([row], columns=SLOW_MOVERS.names))
    warehouse = Warehouse(settings.warehouse_url)
    assert [publish(settings, SLOW_MOVERS) for _ in range(2)] == [1, 0]
    with warehouse.client() as client:
        client.command(loss)
    assert [publish(settings, SLOW_MOVERS) for _ in range(2)] == [1, 0]
    assert warehouse.query("SELECT product_id FROM slow_movers")["product_id"].tolist() == ["p"]
