"""Spark's classes as an archive that a JVM maps into its memory, instead of reading and checking them one by one at each start
(class data sharing). `make` writes it once for an environment; without it, or when it does not fit, Spark starts as ever."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.java import find_java
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: a JVM that cannot use an archive says so on the standard output, where a script reads
_QUIET = "-Xlog:cds*=off"
_NAME = "spark-classes"
#: seconds that a JVM may take to write it
_PATIENCE_SECONDS = 300


def archive_of(java_home: Path) -> Path:
    """Where the archive for this environment's Spark and a Java lies: a change of either gives it another name."""
    import pyspark

    parts = (java_home / "lib" / "modules", Path(pyspark.__file__).parent / "jars")
    told = [f"{part} {part.stat().st_size} {part.stat().st_mtime_ns}" for part in parts if part.exists()]
    return Path(sys.prefix) / f"{_NAME}-{hashlib.blake2b(repr(told).encode(), digest_size=6).hexdigest()}.jsa"


def sharing(java_home: Path) -> str:
    """The options by which a JVM uses the archive, as Spark's launcher reads them; empty where there is none."""
    archive = archive_of(java_home)
    return f'"-XX:SharedArchiveFile={archive}" {_QUIET}' if archive.is_file() else ""


def make_archive(settings: Settings) -> bool:
    """Write the archive if it is not there; returns whether it was made. It holds what a JVM loaded while it did a little of
    what every verb does, appears whole by a rename, and takes the place of those of an earlier Java or Spark."""
    from infra.spark import session

    archive = archive_of(find_java(settings.java_home))
    if archive.is_file() or not os.access(archive.parent, os.W_OK):
        return False
    partial = archive.with_suffix(f".{os.getpid()}.partial")
    alone = settings.model_copy(update={"spark_url": "local[2]"})
    spark = session(alone, "shelfcast-classes", f'"-XX:ArchiveClassesAtExit={partial}" {_QUIET}')
    gateway: Any = spark.sparkContext._gateway
    with tempfile.TemporaryDirectory() as folder:
        _work(spark, f"{folder}/table")
        spark.stop()
    gateway.shutdown()
    # the JVM writes the archive when it ends, which it does when nobody is at the other end
    gateway.proc.stdin.close()
    gateway.proc.wait(_PATIENCE_SECONDS)
    if not partial.is_file():  # a JVM that cannot, or a disk that is full: Spark starts as ever
        return False
    partial.replace(archive)
    for old in archive.parent.glob(f"{_NAME}-*"):
        if old != archive:
            old.unlink(missing_ok=True)
    return True


def _work(spark: SparkSession, table: str) -> None:
    """Queries, a Delta table, Arrow in and out."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    rows = spark.range(1000).withColumns({"key": F.col("id") % 7, "ds": F.expr("date_add(DATE '2024-01-01', CAST(id % 90 AS INT))")})
    sums = rows.groupBy("key").agg(F.sum("id").alias("total"), F.min("ds").alias("first"))
    for _ in range(2):
        rows.withColumn("month", F.date_format("ds", "yyyy-MM")).write.format("delta").mode("append").partitionBy("month").save(table)
    there = spark.read.format("delta").load(table).join(sums, "key").where("ds < DATE '2024-03-01'")
    newest = there.withColumn("place", F.row_number().over(Window.partitionBy("key").orderBy(F.desc("ds"))))
    newest.mapInArrow(lambda batches: batches, newest.schema).persist().orderBy("id").toPandas()
