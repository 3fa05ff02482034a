"""Spark starts from an archive of its classes where there is one, and without it as ever."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from infra import class_archive
from infra.class_archive import archive_of, make_archive, sharing
from infra.java import find_java
from infra.settings import load_settings


def test_the_session_runs_on_the_archive_that_make_wrote(spark) -> None:
    archive = archive_of(find_java(load_settings().java_home))
    given = list(spark._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments())
    assert archive.is_file() and f"-XX:SharedArchiveFile={archive}" in given
    assert make_archive(load_settings()) is False


def test_another_java_or_spark_has_an_archive_of_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    modules = tmp_path / "java" / "lib" / "modules"
    modules.parent.mkdir(parents=True)
    modules.write_bytes(b"classes")
    first = archive_of(tmp_path / "java")
    os.utime(modules, (1, 1))
    second = archive_of(tmp_path / "java")
    assert first != second and first.parent == second.parent == tmp_path
    assert sharing(tmp_path / "java") == ""
    second.write_bytes(b"")
    assert f"-XX:SharedArchiveFile={second}" in sharing(tmp_path / "java")


def test_an_archive_that_does_not_fit_is_passed_over_in_silence(tmp_path, monkeypatch) -> None:
    java = find_java(load_settings().java_home)
    monkeypatch.setattr(class_archive, "archive_of", lambda home: tmp_path / "broken.jsa")
    (tmp_path / "broken.jsa").write_bytes(b"no archive" * 1000)
    plain, given = (
        subprocess.run([java / "bin" / "java", *options, "--version"], capture_output=True, text=True)
        for options in ((), shlex.split(sharing(java)))
    )
    # a JVM that cannot share says no more than that it does not
    assert given.returncode == 0 and (given.stdout, given.stderr) == (plain.stdout.replace(", sharing", ""), "")
