"""The blocks in which rows go to the warehouse: bounded, and made in one pass."""

from __future__ import annotations

import time

import pyarrow as pa

from infra import publish as module
from infra.publish import _blocks
from infra.tables import Table, columns

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
