"""The jars that Spark needs and its wheel does not carry, resolved once into a folder of the project's own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from infra.errors import NotReady
from infra.java import find_java

#: what the embedded platform needs; (organisation, module, revision)
EMBEDDED = (
    ("io.delta", "delta-spark_4.2_2.13", "4.4.0"),
    ("io.delta", "delta-storage", "4.4.0"),
    ("io.delta", "delta-kernel-api", "4.4.0"),
    ("io.delta", "delta-kernel-defaults", "4.4.0"),
    ("io.delta", "delta-kernel-unitycatalog", "4.4.0"),
    ("io.unitycatalog", "unitycatalog-client", "0.6.0"),
    ("io.unitycatalog", "unitycatalog-hadoop", "0.6.0"),
)

_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir="{cache}"/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""


def missing_jars(folder: Path) -> list[str]:
    """File names of the needed jars that `folder` lacks."""
    return [name for name in (f"{module}-{revision}.jar" for _, module, revision in EMBEDDED) if not (folder / name).is_file()]


def jar_paths(folder: Path) -> list[str]:
    """Paths of the needed jars; raises NotReady when one is missing."""
    missing = missing_jars(folder)
    if missing:
        raise NotReady(
            f"{len(missing)} jars are missing in {folder} ({missing[0]} is the first): run `shelfcast doctor --fix` or `make jars`."
        )
    return [str(folder / f"{module}-{revision}.jar") for _, module, revision in EMBEDDED]


def resolve_jars(folder: Path, java_home: str = "") -> list[str]:
    """Download what `folder` lacks by the Ivy that pyspark carries; returns the names added. Repeatable: each jar is
    moved in by a rename, so a kill leaves no half file. The local Maven repository is not consulted, since a POM
    there without its jar makes Ivy fail."""
    missing = missing_jars(folder)
    if not missing:
        return []
    import pyspark

    ivy = next((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar"))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".ivy-") as work:
        _retrieve(find_java(java_home) / "bin" / "java", ivy, Path(work))
        for name in missing:
            arrived = Path(work) / "libs" / name
            if not arrived.is_file():
                raise NotReady(f"{name} could not be downloaded: check that Maven Central can be reached, then repeat.")
            shutil.move(arrived, folder / name)
    return missing


def _retrieve(java: Path, ivy: Path, work: Path) -> None:
    wanted = "".join(
        f'<dependency org="{org}" name="{module}" rev="{revision}" transitive="false" conf="default->default"/>'
        for org, module, revision in EMBEDDED
    )
    (work / "ivysettings.xml").write_text(_SETTINGS.format(cache=work / "cache"))
    (work / "ivy.xml").write_text(
        '<ivy-module version="2.0"><info organisation="shelfcast" module="jars"/>'
        f'<configurations><conf name="default"/></configurations><dependencies>{wanted}</dependencies></ivy-module>'
    )
    done = subprocess.run(
        [str(java), "-jar", str(ivy), "-settings", str(work / "ivysettings.xml"), "-ivy", str(work / "ivy.xml"),
         "-retrieve", str(work / "libs" / "[artifact]-[revision].[ext]"), "-types", "jar"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise NotReady(f"the jars could not be resolved by Ivy: {done.stdout.strip().splitlines()[-1:] or done.stderr[-300:]}")
