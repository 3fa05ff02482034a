"""Lake to warehouse: the one place where tables are copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from infra.lake import Lake, months_of, of_parts
from infra.settings import Settings
from infra.tables import Table
from infra.warehouse import WHOLE, Swap, Warehouse, declare, partitions

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

#: rows and bytes handed to the warehouse at once; bounds memory
BLOCK_ROWS, BLOCK_BYTES = 200_000, 64 * 2**20
#: new files of a month above which it is copied whole; far fewer than the tokens that the warehouse's tables remember (1000)
APPENDED_FILES = 100
#: first bytes of a binary value that the warehouse takes; the lake keeps the whole
BINARY_BYTES = 1000

_HELD = "SELECT name, argMax(lake_table, at), argMax(version, at) FROM published GROUP BY name"


def publish(settings: Settings, *tables: Table) -> int:
    """Bring the warehouse's tables of the same names up to the lake's versions; returns the rows copied. Tables that the
    lake does not have yet are passed over.

    The warehouse remembers which version of which lake table it holds, so only months whose files have changed since
    are copied, and a warehouse that was lost, or a table of it, is filled anew. A month that only gained a few files gets
    their rows; any other is swapped in whole. The memory is written last: a kill before it makes the next run copy the same
    files and months again, where the warehouse knows each file's rows by their token."""
    lake = Lake(settings.lake_url)
    there = [table for table in tables if lake.exists(table)]
    if not there:
        return 0
    with Warehouse(settings.warehouse_url).client() as client:
        declare(client)
        held = {name: (source, version) for name, source, version in client.query(_HELD).result_rows}
        return sum(_publish_one(client, lake, table, *held.get(table.name, ("", -1))) for table in there)


def _publish_one(client: Client, lake: Lake, table: Table, source: str, known: int) -> int:
    version, identity = lake.version(table), lake.identity(table)
    if source == identity and _lost(client, lake, table):
        source, known = "", -1
    if (source, known) == (identity, version):
        return 0
    copied = _copy(client, lake, table, lake.files_seen(table, known) if source == identity else set(), known)
    client.command(
        "INSERT INTO published SELECT {name:String}, {lake:String}, {version:Int64}, now64(6, 'UTC')",
        {"name": table.name, "lake": identity, "version": version},
    )
    return copied


def _copy(client: Client, lake: Lake, table: Table, before: set[str], known: int) -> int:
    """Copy the months whose files differ from `before`, those of version `known` (all, and none that the lake lacks, when it
    is empty)."""
    now = lake.files(table)
    months: list[str | None] = [None]
    if table.day:
        months = [*sorted(months_of(now ^ before) | (set() if before else _held(client, table)))]
    # what a month gained and lost tells which way it is copied, so a run that is repeated goes the same way
    gained, lost = now - before, months_of(before - now)
    rows = 0
    for month in months:
        files = of_parts(gained, month=[month]) if month and before and month not in lost else set()
        if files and len(files) <= APPENDED_FILES:
            rows += _append(client, lake, table, files, known)
            continue
        with Swap(client, table) as swap:
            rows += swap.fill(_blocks(table, lake.arrow(table, month)))
            swap.into([WHOLE if month is None else month.replace("-", "")])
    return rows


def _append(client: Client, lake: Lake, table: Table, files: set[str], known: int) -> int:
    """Add the rows of files that came since version `known` to the warehouse's table, each block once however often that is begun
    anew: a file that went and came back is of another version, and counts again."""
    rows = 0
    for file, batches in lake.arrow_of(table, files):
        for number, block in enumerate(_blocks(table, batches)):
            client.insert_arrow(
                table.name, block, settings={"insert_deduplication_token": f"{known}/{file}#{number}", "insert_deduplicate": 1}
            )
            rows += block.num_rows
    return rows


def _lost(client: Client, lake: Lake, table: Table) -> bool:
    """Whether the warehouse has no row of a table that has files in the lake: it was dropped or emptied behind our back."""
    return not client.query(f"SELECT 1 FROM {table.name} LIMIT 1").result_rows and bool(lake.files(table))


def _held(client: Client, table: Table) -> set[str]:
    """The months (YYYY-MM) that the warehouse has rows of."""
    return {f"{partition[:4]}-{partition[4:]}" for partition in partitions(client, table.name)}


def _blocks(table: Table, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Rows in blocks of the declared columns and types."""
    import pyarrow as pa

    gathered: list[pa.Table] = []
    rows = size = 0
    for batch in batches:
        gathered.append(_fitted(batch, table.arrow_schema()))
        rows, size = rows + gathered[-1].num_rows, size + gathered[-1].nbytes
        if rows >= BLOCK_ROWS or size >= BLOCK_BYTES:
            yield pa.concat_tables(gathered)
            gathered, rows, size = [], 0, 0
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
