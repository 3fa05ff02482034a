"""Lake to warehouse: the one place where tables are copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.lake import Lake, months_of
from infra.settings import Settings
from infra.tables import Table
from infra.warehouse import WHOLE, Swap, Warehouse, declare

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

#: rows and bytes handed to the warehouse at once; bounds memory
BLOCK_ROWS, BLOCK_BYTES = 200_000, 64 * 2**20
#: first bytes of a binary value that the warehouse takes; the lake keeps the whole
BINARY_BYTES = 1000


def publish(settings: Settings, table: Table) -> int:
    """Bring the warehouse's table of the same name up to the lake's version; returns the rows copied.

    The warehouse remembers which version of which lake table it holds, so only months whose files have changed since
    are copied, each swapped in whole, and a warehouse that was lost is filled anew. The memory is written last: a kill
    before it makes the next run copy the same months again."""
    lake = Lake(settings.lake_url)
    version, identity = lake.version(table), lake.identity(table)
    with Warehouse(settings.warehouse_url).client() as client:
        declare(client)
        held = client.query(
            "SELECT argMax(version, at), argMax(lake_table, at), count() FROM published WHERE name = {name:String}", {"name": table.name}
        )
        known, source, times = held.result_rows[0]
        if times and source == identity and known == version:
            return 0
        before = lake.files(table, known) if times and source == identity else set()
        copied = _copy(client, lake, table, before)
        client.command(
            "INSERT INTO published SELECT {name:String}, {lake:String}, {version:Int64}, now64(6, 'UTC')",
            {"name": table.name, "lake": identity, "version": version},
        )
    return copied


def _copy(client: Client, lake: Lake, table: Table, before: set[str]) -> int:
    """Swap in the months whose files differ from `before` (all, and none that the lake lacks, when it is empty)."""
    now = lake.files(table)
    months: list[str | None] = [None]
    if table.day:
        held = set() if before else {f"{row[0][:4]}-{row[0][4:]}" for row in _held(client, table)}
        months = [*sorted(months_of(now ^ before) | held)]
    rows = 0
    for month in months:
        with Swap(client, table) as swap:
            rows += swap.fill(_blocks(lake, table, month))
            swap.into([WHOLE if month is None else month.replace("-", "")])
    return rows


def _held(client: Client, table: Table) -> set[str]:
    """The months (YYYY-MM) that the warehouse has rows of."""
    parts = "SELECT DISTINCT partition FROM system.parts WHERE active AND database = currentDatabase() AND table = {name:String}"
    return {f"{row[0][:4]}-{row[0][4:]}" for row in client.query(parts, {"name": table.name}).result_rows}


def _blocks(lake: Lake, table: Table, month: str | None) -> Iterator[pa.Table]:
    """Rows of a month in blocks of the declared columns and types."""
    import pyarrow as pa

    gathered: list[pa.Table] = []
    for batch in lake.arrow(table, month):
        gathered.append(_fitted(batch, table.arrow_schema()))
        if sum(b.num_rows for b in gathered) >= BLOCK_ROWS or sum(b.nbytes for b in gathered) >= BLOCK_BYTES:
            yield pa.concat_tables(gathered)
            gathered = []
    if gathered:
        yield pa.concat_tables(gathered)


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """The batch in the declared types, binary values cut."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pa.Table.from_batches([batch])
    for place, field in enumerate(schema):
        if pa.types.is_binary(field.type):
            rows = rows.set_column(place, field.name, pc.binary_slice(rows[field.name].cast(pa.binary()), 0, BINARY_BYTES))
    return rows.cast(schema)
