"""The warehouse: ClickHouse, in process (`chdb://`) or a server (`clickhouse://`, with TLS `clickhouses://`), behind the same client."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from infra.errors import BadInput, NotReady
from infra.tables import Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

SQL = Path(__file__).parent / "sql"
#: the one partition of a table without months
WHOLE = "tuple()"
#: a staging table this old has no one who fills it any more
LEFT_SECONDS = 24 * 3600
_STAGED = "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {begin:String})"
#: seconds to wait for another process to leave an embedded warehouse's folder
PATIENCE_SECONDS = 60.0
#: a value that a query asks for, and how the server says that one is not of its type
_ASKED = re.compile(r"\{(\w+):(\w+)\}")
_UNREADABLE = re.compile(r"BAD_QUERY_PARAMETER|CANNOT_PARSE|CANNOT_CONVERT|cannot be parsed", re.IGNORECASE)


@dataclass(frozen=True)
class Warehouse:
    """A ClickHouse database. One process at a time may hold an embedded folder: each operation opens, works and
    closes, and waits while another process is inside."""

    url: str

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A connected client, closed at the end; raises NotReady when the warehouse stays out of reach."""
        client = self._open()
        try:
            yield client
        finally:
            client.close()

    def bootstrap(self) -> list[str]:
        """Create what `infra/sql/ddl` declares and is missing; returns the statements' files in order."""
        with self.client() as client:
            return declare(client)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Rows of a query as pandas; `{name:Type}` placeholders are filled from `parameters`."""
        with self.client() as client:
            return client.query_df(sql, parameters=dict(parameters or {}))

    def named(self, name: str, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Rows of the named query `infra/sql/queries/<name>.sql`. Raises BadInput for an unknown name, and where other values
        are given than the query asks for or one is not of its type."""
        from clickhouse_connect.driver.exceptions import DatabaseError

        named, given = named_query(name), dict(parameters or {})
        if given.keys() != named.asks.keys():
            asked = ", ".join(f"{value} ({kind})" for value, kind in named.asks.items()) or "nothing"
            raise BadInput(f"{name} asks for {asked}: {', '.join(given) or 'nothing'} was given")
        try:
            return self.query(named.sql, given)
        except DatabaseError as error:
            if _UNREADABLE.search(str(error)):
                asked = ", ".join(f"{value} as {kind}" for value, kind in named.asks.items())
                raise BadInput(
                    f"{name} expects {asked}: {', '.join(f'{key}={value}' for key, value in given.items())} was given"
                ) from error
            raise

    def _open(self) -> Client:
        import clickhouse_connect

        parts = urlsplit(self.url)
        # the driver does not look at the scheme: it would send the password in clear to any port but 443 and 8443
        interface = "https" if parts.scheme == "clickhouses" else None
        if parts.scheme == "chdb":
            Path(parts.path).mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = 0.05
        while True:
            try:
                return clickhouse_connect.get_client(dsn=self.url, interface=interface)
            except Exception as error:  # the driver wraps every cause in its own classes; the last one is told below
                if time.monotonic() > deadline:
                    raise NotReady(f"the warehouse at {redacted(self.url)} cannot be opened: {error}") from error
                time.sleep(pause)
                pause = min(pause * 2, 2.0)


@dataclass
class Swap:
    """Rows gathered in a staging table of its own, so that two at a time never mix theirs, then swapped into a table by whole
    partitions (months, or all of it)."""

    client: Client
    table: Table
    rows: int = 0
    #: name of the staging table, which says since when (the embedded engine does not know it)
    staging: str = field(init=False)

    def __post_init__(self) -> None:
        self.staging = f"staging_{self.table.name}_{time.time():.0f}_{uuid4().hex}"

    def __enter__(self) -> Swap:
        self._drop_what_kills_left()
        self.client.command(f"CREATE TABLE {self.staging} AS {self.table.name}")
        return self

    def __exit__(self, *_: object) -> None:
        self.client.command(f"DROP TABLE IF EXISTS {self.staging}")

    def _drop_what_kills_left(self) -> None:
        for (name,) in self.client.query(_STAGED, parameters={"begin": f"staging_{self.table.name}_"}).result_rows:
            if int(name.split("_")[-2]) + LEFT_SECONDS <= time.time():
                self.client.command(f"DROP TABLE IF EXISTS {name}")

    def fill(self, blocks: Iterable[pa.Table]) -> int:
        """Add rows with the table's columns; returns how many."""
        count = 0
        for block in blocks:
            if block.num_rows:
                self.client.insert_arrow(self.staging, block)
            count += block.num_rows
        self.rows += count
        return count

    def into(self, wanted: Iterable[str]) -> None:
        """Swap each partition (YYYYMM, or WHOLE); one without gathered rows is dropped."""
        filled = partitions(self.client, self.staging)
        for partition in wanted:
            how = f"REPLACE PARTITION {partition} FROM {self.staging}" if partition in filled else f"DROP PARTITION {partition}"
            self.client.command(f"ALTER TABLE {self.table.name} {how}")


def partitions(client: Client, table: str) -> set[str]:
    """The partitions (YYYYMM, or WHOLE) that have rows. The table itself is asked: `system.parts` does not wait for a
    table that is still being loaded, and would then show none."""
    found = {row[0] for row in client.query(f"SELECT DISTINCT _partition_id FROM {table}").result_rows}
    return {WHOLE if partition == "all" else partition for partition in found}


def declare(client: Client) -> list[str]:
    """Create what `infra/sql/ddl` declares and is missing; returns the statements' files in order."""
    files = sorted((SQL / "ddl").glob("*.sql"))
    for file in files:
        for statement in statements(file.read_text()):
            client.command(statement)
    return [file.name for file in files]


def redacted(url: str) -> str:
    """A URL without its password, for messages and logs."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def statements(sql: str) -> list[str]:
    """The statements of a SQL file, split at semicolons that end a line; comments are kept out."""
    bare = "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip() for part in re.split(r";\s*(?:\n|$)", bare) if part.strip()]


@dataclass(frozen=True)
class NamedQuery:
    """A query of `infra/sql/queries`: the question that it answers, and the values that it asks for with their types."""

    name: str
    question: str
    asks: Mapping[str, str]
    sql: str = field(repr=False)


def named_queries() -> list[NamedQuery]:
    """Every named query, by name."""
    return [_read(path) for path in sorted((SQL / "queries").glob("*.sql"))]


def named_query(name: str) -> NamedQuery:
    """A named query; raises BadInput with the known names."""
    every = {each.name: each for each in named_queries()}
    if name not in every:
        raise BadInput(f"there is no query {name!r}: expected one of {', '.join(every)}")
    return every[name]


def _read(path: Path) -> NamedQuery:
    sql = path.read_text()
    told = [line.removeprefix("--").strip() for line in sql.splitlines() if line.startswith("--")]
    return NamedQuery(path.stem, " ".join(told), dict(_ASKED.findall(sql)), sql)
