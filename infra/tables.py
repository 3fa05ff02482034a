"""What a table is: its name, columns with types and units, key and partitioning. Rooms declare their own tables
with it; the lake's Spark schema and the checks at the border are derived from the one declaration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from infra.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

#: column types a table may use, with their Spark SQL names
TYPES = {"string", "double", "bigint", "int", "date", "timestamp", "boolean", "binary", "array<double>", "array<int>"}


@dataclass(frozen=True)
class Column:
    """One column: `type` is a Spark SQL type name of TYPES, `doc` says unit and meaning."""

    name: str
    type: str
    doc: str = ""

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"column {self.name}: type {self.type!r} is not one of {sorted(TYPES)}")


@dataclass(frozen=True)
class Table:
    """A table of the lake: `layer` is bronze, silver, gold, decisions or monitoring; `key` identifies a row; a table with a
    `day` column is partitioned by its month (column `month`, added by the lake), so that a day can be replaced, and before
    that by the column `split`, if it has one."""

    name: str
    layer: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    day: str = ""
    doc: str = ""
    split: str = ""

    @property
    def names(self) -> list[str]:
        """Column names in their declared order."""
        return [column.name for column in self.columns]

    def spark_schema(self) -> StructType:
        """The Spark schema of the table, columns in their declared order."""
        from pyspark.sql.types import StructType

        return cast("StructType", StructType.fromDDL(", ".join(f"`{c.name}` {c.type}" for c in self.columns)))

    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of the table, columns in their declared order; times are UTC."""
        import pyarrow as pa

        return pa.schema([(column.name, _arrow_type(pa, column.type)) for column in self.columns])


def _arrow_type(pa: Any, name: str) -> pa.DataType:
    if name.startswith("array<"):
        return pa.list_(_arrow_type(pa, name[6:-1]))
    plain = {"double": pa.float64(), "bigint": pa.int64(), "int": pa.int32(), "date": pa.date32(), "boolean": pa.bool_()}
    return {**plain, "string": pa.string(), "binary": pa.binary(), "timestamp": pa.timestamp("us", "UTC")}[name]


def columns(*rows: tuple[str, str] | tuple[str, str, str]) -> tuple[Column, ...]:
    """Columns from (name, type, doc) rows."""
    return tuple(Column(*row) for row in rows)


def require_columns(frame: pd.DataFrame, names: Sequence[str], where: str) -> None:
    """Raise BadInput naming the first column of `names` that `frame` lacks; `where` names the file or table."""
    for name in names:
        if name not in frame.columns:
            raise BadInput(f"{where}: column {name!r} is missing; it has {', '.join(map(str, frame.columns)) or 'no columns'}")
