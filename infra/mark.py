"""How far a step has come: the lake tables it has worked in, at which version, written down when it is done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from infra.lake import Lake
from infra.tables import Table


@dataclass(frozen=True)
class Mark:
    """The identity and version of each table by name, and the `last` business day that the step knew of."""

    versions: dict[str, tuple[str, int]]
    last: date | None = None

    @staticmethod
    def of(lake: Lake, tables: Iterable[Table], last: date | None = None) -> Mark:
        """The tables as they are now; those that were never written are left out."""
        return Mark({table.name: (lake.identity(table), lake.version(table)) for table in tables if lake.exists(table)}, last)

    @staticmethod
    def load(path: Path) -> Mark:
        """The mark that was saved; an empty one where there is none."""
        if not path.is_file():
            return Mark({})
        said = json.loads(path.read_text())
        versions = {name: (identity, version) for name, (identity, version) in said["versions"].items()}
        return Mark(versions, date.fromisoformat(said["last"]) if said["last"] else None)

    def save(self, path: Path) -> None:
        """Write the mark whole, by a rename."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"versions": self.versions, "last": self.last.isoformat() if self.last else None}))
        partial.replace(path)

    def version(self, lake: Lake, table: Table) -> int | None:
        """The version at which the step saw the table; None where it never did, or that table was made anew since."""
        identity, version = self.versions.get(table.name, ("", 0))
        return version if lake.exists(table) and identity == lake.identity(table) else None
