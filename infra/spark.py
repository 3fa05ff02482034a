"""The one Spark session of a process."""

from __future__ import annotations

import logging
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from infra.class_archive import sharing
from infra.jars import jar_paths, spark_sets
from infra.java import find_java
from infra.s3 import hadoop_options
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[1]
#: the packages whose functions run on executors
ROOMS = ("infra", "data_ingest", "feature_repo", "training", "monitoring")
LOG_SETTINGS = ROOT / "infra" / "log4j2.properties"
#: a run of minutes spends more on the optimising compiler than that gives back: only what is ten times as hot as usual
#: is given to it. Without it altogether the hot loops take what was saved
JAVA_OPTIONS = (
    "-Duser.timezone=UTC -XX:+UseParallelGC "
    "-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 "
    "-XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"
)


def session(settings: Settings, app_name: str = "shelfcast", java_options: str | None = None) -> SparkSession:
    """The active Spark session, or a new one on `settings.spark_url` with Delta, UTC and Arrow. `java_options` take the place
    of those by which a JVM finds Spark's classes in their archive.

    Few shuffle partitions and `snapshotPartitions` keep the small commits of a laptop cheap; adaptive execution
    raises the parallelism where the data asks for it."""
    from pyspark.sql import SparkSession

    java_home = find_java(settings.java_home)
    os.environ["JAVA_HOME"] = str(java_home)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(settings.spark_url).appName(app_name)
    for key, value in _configuration(settings, sharing(java_home) if java_options is None else java_options).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    if not settings.spark_url.startswith("local"):
        _ship_code(spark, settings)
    logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)
    return spark


def executors(spark: SparkSession) -> int:
    """How many executors the session has at this moment; none on a local master, where the driver does the work."""
    return spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1  # the driver is one of those listed


def bring(spark: SparkSession, url: str, folder: Path) -> None:
    """Move what lies at `url`, on any file system that Spark knows, into a new local folder."""
    fs, conf = spark._jvm.org.apache.hadoop.fs, spark._jsc.hadoopConfiguration()  # type: ignore[union-attr]
    path = fs.Path(url)
    # the raw file system writes no checksum files beside
    path.getFileSystem(conf).copyToLocalFile(True, path, fs.Path(str(folder)), True)


def _ship_code(spark: SparkSession, settings: Settings) -> None:
    """Give the rooms' code to the workers of a cluster; what the locks list must be installed there."""
    archive = settings.home / "code.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_name(f".{archive.name}.{os.getpid()}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as out:
        for room in ROOMS:
            for file in sorted((ROOT / room).rglob("*.py")):
                out.write(file, file.relative_to(ROOT))
    partial.replace(archive)
    spark.sparkContext.addPyFile(str(archive))


def _configuration(settings: Settings, java_options: str) -> dict[str, str]:
    warehouse = settings.home / "spark-warehouse"
    return {
        "spark.jars": ",".join(jar_paths(settings.jars, spark_sets(settings))),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.warehouse.dir": str(warehouse),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        # small files share a task: to plan, ship and set up a task takes longer than to read one
        "spark.sql.files.openCostInBytes": "65536",
        # VACUUM makes so many tasks a table to list its files; 10000 unless told
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
        # a step has hundreds of generated classes, and what falls out of the cache is compiled again; 100 unless told
        "spark.sql.codegen.cache.maxEntries": "1000",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.pythonUDF.arrow.enabled": "true",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.driver.memory": settings.spark_memory,
        # in quotes: Spark's launcher splits at blanks, and a checkout may lie in a folder with one
        "spark.driver.extraJavaOptions": f'{JAVA_OPTIONS} "-Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}" {java_options}',
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # without the UI nobody reads them; with their plans they fill a small heap
        "spark.ui.retainedJobs": "20",
        "spark.ui.retainedStages": "20",
        "spark.ui.retainedTasks": "200",
        "spark.sql.ui.retainedExecutions": "2",
        "spark.sql.maxPlanStringLength": "10000",
        "spark.sql.streaming.metricsEnabled": "false",
        # a verb would take every core of the cluster, and the next one wait until it ends
        **({"spark.cores.max": str(settings.spark_cores)} if settings.spark_url.startswith("spark://") else {}),
        **{f"spark.hadoop.{name}": value for name, value in hadoop_options(settings.s3_endpoint_url, settings.s3_region).items()},
    }
