"""The Java runtime that Spark is started with: found here, installed by `make`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from infra.errors import NotReady

#: Spark 4.2 runs on these; a trimmed runtime without `jdk.incubator.vector` does not start it
SUPPORTED = (17, 21)

_USUAL_PLACES = ("/usr/lib/jvm", "/Library/Java/JavaVirtualMachines", "/opt/homebrew/opt", "/usr/local/opt")


def java_version(java: str) -> int | None:
    """Major version of a `java` binary, or None when it does not start."""
    try:
        out = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', out)
    return int(found.group(1)) if found else None


def _candidates(java_home: str) -> list[str]:
    on_path = shutil.which("java")
    found = [str(Path(java_home) / "bin" / "java")] if java_home else []
    found += [on_path] if on_path else []
    for place in _USUAL_PLACES:
        found += sorted(str(path) for path in Path(place).glob("*/bin/java"))
        found += sorted(str(path) for path in Path(place).glob("*/Contents/Home/bin/java"))
    return found


def find_java(java_home: str = "") -> Path:
    """The Java home to use: the first supported one of `java_home`, PATH and the usual places; raises NotReady."""
    seen = []
    for java in dict.fromkeys(_candidates(java_home)):
        version = java_version(java)
        if version in SUPPORTED:
            return Path(java).resolve().parent.parent
        seen.append(f"{java} ({version or 'does not start'})")
    raise NotReady(
        f"Java {' or '.join(map(str, SUPPORTED))} was not found (seen: {', '.join(seen) or 'none'}): "
        "run `make setup`, or install it and set JAVA_HOME."
    )
