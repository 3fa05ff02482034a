"""The warehouse: ClickHouse, in process (`chdb://`) or a server (`clickhouse://`), behind the same client."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.errors import BadInput, NotReady

if TYPE_CHECKING:
    import pandas as pd
    from clickhouse_connect.driver.client import Client

SQL = Path(__file__).parent / "sql"
#: seconds to wait for another process to leave an embedded warehouse's folder
PATIENCE_SECONDS = 60.0


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
        files = sorted((SQL / "ddl").glob("*.sql"))
        with self.client() as client:
            for file in files:
                for statement in statements(file.read_text()):
                    client.command(statement)
        return [file.name for file in files]

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Rows of a query as pandas; `{name:Type}` placeholders are filled from `parameters`."""
        with self.client() as client:
            return client.query_df(sql, parameters=dict(parameters or {}))

    def named(self, name: str, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Rows of the named query `infra/sql/queries/<name>.sql`."""
        return self.query(named_query(name), parameters)

    def insert(self, table: str, frame: pd.DataFrame, token: str) -> int:
        """Insert a block of rows; the same `token` again changes nothing. Returns the rows handed over."""
        if frame.empty:
            return 0
        with self.client() as client:
            client.insert_df(table, frame, settings={"insert_deduplication_token": token, "insert_deduplicate": 1})
        return len(frame)

    def _open(self) -> Client:
        import clickhouse_connect

        parts = urlsplit(self.url)
        if parts.scheme == "chdb":
            Path(parts.path).mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = 0.05
        while True:
            try:
                return clickhouse_connect.get_client(dsn=self.url)
            except Exception as error:  # the driver wraps every cause in its own classes; the last one is told below
                if time.monotonic() > deadline:
                    raise NotReady(f"the warehouse at {redacted(self.url)} cannot be opened: {error}") from error
                time.sleep(pause)
                pause = min(pause * 2, 2.0)


def redacted(url: str) -> str:
    """A URL without its password, for messages and logs."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def statements(sql: str) -> list[str]:
    """The statements of a SQL file, split at semicolons that end a line; comments are kept out."""
    bare = "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip() for part in re.split(r";\s*(?:\n|$)", bare) if part.strip()]


def named_query(name: str) -> str:
    """The text of a named query; raises BadInput with the known names."""
    path = SQL / "queries" / f"{name}.sql"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.sql")))
        raise BadInput(f"there is no query {name!r}: expected one of {known}")
    return path.read_text()
