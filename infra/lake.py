"""The lake: Delta tables below one URL. Every write is one Delta commit, so a reader never sees half of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from infra.errors import NotReady
from infra.tables import Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

#: the partition column that the lake adds to tables with a `day`
MONTH = "month"
#: how delta-rs says that an S3 store has refused
_DENIED = re.compile(r"\b40[13] (Unauthorized|Forbidden)\b")


@dataclass(frozen=True)
class Lake:
    """Delta tables at `<url>/<layer>/<table>`; `url` is file:// or s3a://."""

    url: str

    def path(self, table: Table) -> str:
        """Where the table lies, as Spark takes it."""
        return f"{self.url.rstrip('/')}/{table.layer}/{table.name}"

    def require_writable(self) -> None:
        """Raise NotReady where a local lake's folder takes no files: Delta would try to commit again and again."""
        folder = Path(self.url.removeprefix("file://"))
        if self.url.startswith("file://") and folder.exists() and not os.access(folder, os.W_OK):
            raise NotReady(f"{folder} cannot be written to: give a folder that can, or the right to, then run the same again.")

    def exists(self, table: Table) -> bool:
        """Whether the table has had a first commit (needs no JVM)."""
        from deltalake import DeltaTable

        with _refusals_told(self.path(table)):
            return DeltaTable.is_deltatable(self._local(table))

    def holds(self, table: Table) -> bool:
        """Whether the table is there with all its declared columns: one of an earlier release may lack some (needs no JVM)."""
        return self.exists(table) and set(table.names) <= {column.name for column in self._delta(table).schema().fields}

    def version(self, table: Table) -> int:
        """The table's newest Delta version (needs no JVM); raises NotReady when there is no table yet."""
        return self._delta(table).version()

    def read(self, spark: SparkSession, table: Table, version: int | None = None) -> DataFrame:
        """The table's declared columns, at `version` when given; raises NotReady when it was never written."""
        if not self.exists(table):
            raise NotReady(_missing(table))
        reader = spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(self.path(table)).select(*table.names)

    def read_files(self, spark: SparkSession, table: Table, files: Iterable[str]) -> DataFrame:
        """The declared columns of some of the table's `files`, at least one. Delta is not asked: to open a version costs it seconds,
        while Spark looks at each file, so this is for a few hundred at most."""
        whole = f"{', '.join(f'`{column.name}` {column.type}' for column in table.columns)}, {MONTH} string"
        reader = spark.read.schema(whole).option("basePath", self.path(table))
        return reader.parquet(*sorted(files)).select(*table.names)

    def read_pandas(
        self, table: Table, columns: Sequence[str] | None = None, filters: list[tuple] | None = None, version: int | None = None
    ) -> pd.DataFrame:
        """Columns of a table, at `version` when given, as pandas, without a JVM; for what is bounded by products, stores or
        one day's decisions. `filters` are (column, operator, value) triples that are pushed down to the files."""
        return self._delta(table, version).to_pandas(columns=list(columns or table.names), filters=filters)

    def files(self, table: Table, version: int | None = None) -> set[str]:
        """Files of the table at its newest version, or at `version`, as Spark takes them; none where it was never written (needs
        no JVM). Raises NotReady where that version is not there: it is older than what is kept, or of a table that was lost."""
        return {_as_spark(uri) for uri in self._delta(table, version).file_uris()} if self.exists(table) else set()

    def files_seen(self, table: Table, version: int) -> set[str]:
        """Files of the table at a version that a step had seen; none where it is not there any more: all are news then."""
        try:
            return self.files(table, version)
        except _VersionGone:
            return set()

    def identity(self, table: Table) -> str:
        """An id that a table made anew does not share (needs no JVM)."""
        return str(self._delta(table).metadata().id)

    def batch(self, table: Table, app_id: str) -> int | None:
        """The last batch that the table has of those appended under `app_id`; None where it has none (needs no JVM)."""
        return self._delta(table).transaction_version(app_id) if self.exists(table) else None

    def days(self, table: Table, *, since: date | None = None, until: date | None = None, newest: int | None = None) -> list[date]:
        """The days from `since` to `until` that the table has rows of, oldest first; the `newest` of them alone are found without
        what lies months before them. None where it was never written (needs no JVM)."""
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        if not self.exists(table):
            return []
        months, rows = sorted(months_of(self.files(table)), reverse=True), self._delta(table).to_pyarrow_dataset()
        between = (ds.field(table.day) >= (since or date.min)) & (ds.field(table.day) <= (until or date.max))
        found: set[date] = set()
        for month in months:
            if newest and len(found) >= newest:
                break
            for batch in rows.to_batches(columns=[table.day], filter=(ds.field(MONTH) == month) & between):
                found.update(pc.unique(batch.column(0)).to_pylist())
        return sorted(found)[-(newest or 0) :]

    def arrow(self, table: Table, month: str | None = None) -> Iterator[pa.RecordBatch]:
        """The table's rows, of one `month` (YYYY-MM) or all, in bounded batches (needs no JVM)."""
        import pyarrow.dataset as ds

        chosen = None if month is None else ds.field(MONTH) == month
        yield from self._delta(table).to_pyarrow_dataset().to_batches(columns=table.names, filter=chosen)

    def arrow_of(self, table: Table, files: Iterable[str]) -> Iterator[tuple[str, Iterator[pa.RecordBatch]]]:
        """Each of some of the table's newest `files`, with its rows in bounded batches, the same whenever it is read (needs no JVM).
        Raises NotReady where the table does not have them all."""
        known = self._delta(table).to_pyarrow_dataset()
        wanted = {file.removeprefix(f"{self.path(table)}/"): file for file in files}
        for fragment in known.get_fragments():
            if file := wanted.pop(fragment.path, None):
                yield file, fragment.to_batches(schema=known.schema, columns=table.names)
        if wanted:  # to go on would lose their rows in silence
            raise NotReady(
                f"{self.path(table)} does not have {len(wanted):,} of its files any more, such as {min(wanted)}: another may have "
                "rewritten them meanwhile, or its URL leads there by a link: run the same again."
            )

    def overwrite(self, frame: DataFrame, table: Table) -> None:
        """Replace the whole table in one commit."""
        self._writer(frame, table).mode("overwrite").option("overwriteSchema", "true").save(self.path(table))

    def append(self, frame: DataFrame, table: Table, app_id: str, batch: int) -> None:
        """Append a micro-batch; the same (app_id, batch) again changes nothing. Tie `app_id` to the identity of the
        query's checkpoint: Delta ignores a batch number that is not greater than the last of its app."""
        writer = self._writer(frame, table).mode("append").option("mergeSchema", "true")
        writer.option("txnAppId", app_id).option("txnVersion", batch).save(self.path(table))

    def replace_days(self, frame: DataFrame, table: Table, days: Iterable[date]) -> None:
        """Replace the rows of `days` by those of `frame` (which has no others) in one commit; other days are kept, with nulls in
        columns that the table did not have yet."""
        listed = sorted(set(days))
        if not listed:
            return
        if not self.exists(table):
            self.overwrite(frame, table)
            return
        months = ", ".join(f"'{m}'" for m in sorted({d.strftime("%Y-%m") for d in listed}))
        values = ", ".join(f"date'{d.isoformat()}'" for d in listed)
        where = f"{MONTH} in ({months}) and {table.day} in ({values})"
        writer = self._writer(frame, table).mode("overwrite").option("replaceWhere", where)
        writer.option("mergeSchema", "true").save(self.path(table))

    def _writer(self, frame: DataFrame, table: Table):
        from pyspark.sql import functions as F

        out = frame.select(*[F.col(c.name).cast(c.type).alias(c.name) for c in table.columns])
        if not table.day:
            return out.write.format("delta")
        out = out.withColumn(MONTH, F.date_format(F.col(table.day), "yyyy-MM"))
        # rows are looked for by their day only: to keep the range of every column costs more than it saves
        parts = [table.split, MONTH] if table.split else [MONTH]
        return out.write.format("delta").partitionBy(*parts).option("delta.dataSkippingStatsColumns", table.day)

    def _delta(self, table: Table, version: int | None = None):
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        with _refusals_told(self.path(table)):
            try:
                delta = DeltaTable(self._local(table))
            except TableNotFoundError as error:
                raise NotReady(_missing(table)) from error
            if version is not None:
                try:
                    delta.load_as_version(version)
                except (DeltaError, ValueError) as error:
                    raise _VersionGone(f"{self.path(table)} does not have its version {version} any more: {error}") from error
            return delta

    def _local(self, table: Table) -> str:
        # delta-rs names S3 `s3://` where Hadoop says `s3a://`
        return self.path(table).replace("s3a://", "s3://", 1)


class _VersionGone(NotReady):
    """A table's version is older than what is kept, or of a table that was lost."""


@contextmanager
def _refusals_told(path: str) -> Iterator[None]:
    """Raise NotReady for what an S3 store refuses until somebody mends it: a bucket that is not there, keys that are not right."""
    try:
        yield
    except OSError as error:
        if "NoSuchBucket" in str(error):
            raise NotReady(f"the S3 store has no bucket for {path}: run `shelfcast bootstrap`, then the same again.") from error
        if denied := _DENIED.search(str(error)):
            raise NotReady(
                f"the S3 store does not open {path} ({denied[0]}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, then run the same "
                "again."
            ) from error
        raise


def _as_spark(uri: str) -> str:
    plain = unquote(uri)  # delta-rs writes a blank as %20, Hadoop takes a path as it is
    return plain.replace("s3://", "s3a://", 1) if "://" in plain else f"file://{plain}"


def months_of(files: Iterable[str]) -> set[str]:
    """The months (YYYY-MM) that lake files belong to, read from their paths."""
    return {part.removeprefix(f"{MONTH}=") for file in files for part in file.split("/") if part.startswith(f"{MONTH}=")}


def months_between(first: date, last: date) -> set[str]:
    """The months (YYYY-MM) of the days from `first` to `last`."""
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return {f"{number // 12:04d}-{number % 12 + 1:02d}" for number in numbers}


def of_parts(files: Iterable[str], **wanted: Iterable[str]) -> set[str]:
    """Those lake files whose paths say a value that is wanted of each column, such as `month` or the one that splits a table."""
    told = {f"{column}={value}": column for column, values in wanted.items() for value in values}
    return {file for file in files if {told[part] for part in file.split("/") if part in told} == wanted.keys()}


def _missing(table: Table) -> str:
    step = {"bronze": "ingest", "silver": "ingest", "gold": "features", "decisions": "score"}.get(table.layer, "ingest")
    return f"the lake has no table {table.layer}/{table.name} yet: run `shelfcast {step}` first."
