"""The jars that Spark and the development stack need and no wheel carries, resolved once into a folder of the project's
own. Each set is a list of Maven coordinates in `infra/maven/<set>.txt`: whole, so that nothing else is ever resolved."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.errors import NotReady
from infra.java import find_java
from infra.settings import Settings

LISTS = Path(__file__).parent / "maven"
#: every set: what Spark needs for any URL, and the Kafka broker of the stack
ALL = ("delta", "kafka", "s3a", "broker")

_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir="{cache}"/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""


@dataclass(frozen=True)
class Jar:
    """One jar by its Maven coordinates."""

    organisation: str
    module: str
    revision: str

    @property
    def file(self) -> str:
        """Name of the file in the folder."""
        return f"{self.module}-{self.revision}.jar"


def listed(*sets: str) -> list[Jar]:
    """The jars of some sets, in their order."""
    return [Jar(*line.split(":")) for name in sets for line in (LISTS / f"{name}.txt").read_text().split()]


def spark_sets(settings: Settings) -> tuple[str, ...]:
    """The sets that Spark needs for the URLs of `settings`: Delta always, the connectors where a URL asks for them."""
    asked = {"kafka": settings.events_url.startswith("kafka://"), "s3a": settings.lake_url.startswith("s3a://")}
    return ("delta", *(name for name, wanted in asked.items() if wanted))


def missing_jars(folder: Path, sets: Iterable[str]) -> list[str]:
    """File names of the needed jars that `folder` lacks."""
    return [jar.file for jar in listed(*sets) if not (folder / jar.file).is_file()]


def jar_paths(folder: Path, sets: Iterable[str]) -> list[str]:
    """Paths of the needed jars; raises NotReady when one is missing."""
    missing = missing_jars(folder, sets)
    if missing:
        raise NotReady(f"{len(missing)} jars are missing in {folder} ({missing[0]} is the first): run `shelfcast doctor --fix`.")
    return [str(folder / jar.file) for jar in listed(*sets)]


def resolve_jars(folder: Path, sets: Iterable[str], java_home: str = "") -> list[str]:
    """Download what `folder` lacks by the Ivy that pyspark carries; returns the names added. Repeatable: each jar is
    moved in by a rename, so a kill leaves no half file. The local Maven repository is not consulted, since a POM
    there without its jar makes Ivy fail."""
    wanted = [jar for jar in listed(*sets) if not (folder / jar.file).is_file()]
    if not wanted:
        return []
    import pyspark

    ivy = next((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar"))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".ivy-") as work:
        _retrieve(find_java(java_home) / "bin" / "java", ivy, Path(work), wanted)
        for jar in wanted:
            arrived = Path(work) / "libs" / jar.file
            if not arrived.is_file():
                raise NotReady(f"{jar.file} could not be downloaded: check that Maven Central can be reached, then repeat.")
            shutil.move(arrived, folder / jar.file)
    return [jar.file for jar in wanted]


def _retrieve(java: Path, ivy: Path, work: Path, wanted: Iterable[Jar]) -> None:
    dependencies = "".join(
        f'<dependency org="{jar.organisation}" name="{jar.module}" rev="{jar.revision}" transitive="false" conf="default->default"/>'
        for jar in wanted
    )
    (work / "ivysettings.xml").write_text(_SETTINGS.format(cache=work / "cache"))
    (work / "ivy.xml").write_text(
        '<ivy-module version="2.0"><info organisation="shelfcast" module="jars"/>'
        f'<configurations><conf name="default"/></configurations><dependencies>{dependencies}'
        # two sets may hold two revisions of one module
        '<conflict manager="all"/></dependencies></ivy-module>'
    )
    done = subprocess.run(
        [str(java), "-jar", str(ivy), "-settings", str(work / "ivysettings.xml"), "-ivy", str(work / "ivy.xml"),
         "-retrieve", str(work / "libs" / "[artifact]-[revision].[ext]"), "-types", "jar", "bundle"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise NotReady(f"the jars could not be resolved by Ivy: {done.stdout.strip().splitlines()[-1:] or done.stderr[-300:]}")
