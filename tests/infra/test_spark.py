"""How Spark is started: what its launcher makes of the options."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyspark

from infra import class_archive, spark
from infra.java import find_java
from infra.settings import Settings


def test_a_checkout_in_a_folder_with_a_blank_is_no_two_options(settings: Settings, tmp_path: Path, monkeypatch) -> None:
    java, home, place = find_java(settings.java_home), Path(pyspark.__file__).parent, tmp_path / "my work"
    place.mkdir()
    (place / "classes.jsa").touch()
    monkeypatch.setattr(spark, "LOG_SETTINGS", place / "log4j2.properties")
    monkeypatch.setattr(class_archive, "archive_of", lambda java_home: place / "classes.jsa")
    options = spark._configuration(settings, class_archive.sharing(java))["spark.driver.extraJavaOptions"]
    # prints the command that it would start, its words apart by a zero byte
    launcher = [
        str(java / "bin" / "java"),
        "-cp",
        f"{home}/jars/*",
        "org.apache.spark.launcher.Main",
        "org.apache.spark.deploy.SparkSubmit",
    ]
    told = {"SPARK_HOME": str(home), "JAVA_HOME": str(java), "SPARK_SCALA_VERSION": "2.13"}  # what bin/spark-class exports
    done = subprocess.run(
        [*launcher, "--conf", f"spark.driver.extraJavaOptions={options}", "pyspark-shell"],
        capture_output=True, text=True, check=True, env={**os.environ, **told},
    )  # fmt: skip
    words = done.stdout.split("\0")
    assert f"-XX:SharedArchiveFile={place}/classes.jsa" in words
    assert f"-Dlog4j2.configurationFile={(place / 'log4j2.properties').as_uri()}" in words
