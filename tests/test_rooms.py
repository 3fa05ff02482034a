"""Who may import whom: parsed from the code, not from memory."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "infra": set(),
    "data_ingest": {"infra"},
    "feature_repo": {"infra", "data_ingest"},
    "training": {"infra", "data_ingest", "feature_repo"},
    "serving": {"infra", "data_ingest", "feature_repo", "training"},
    "monitoring": {"infra", "data_ingest", "feature_repo", "training"},
}
#: the composition root: what of infra reaches up
COMPOSITION_ROOT = {Path("infra/cli.py"), Path("infra/file_verbs.py"), Path("infra/upkeep_verbs.py")}


def modules() -> list[Path]:
    return [path.relative_to(ROOT) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(imported module, whether at module level) of every import in a file."""
    tree = ast.parse((ROOT / path).read_text())
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        yield from ((name, id(node) in top) for name in names)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    room = path.parts[0]
    reached = {name.split(".")[0] for name, _ in imports(path)} & set(ROOMS) - {room}
    if path in COMPOSITION_ROOT:
        at_import = {name.split(".")[0] for name, top in imports(path) if top} & set(ROOMS)
        assert at_import <= {"infra"}, "the composition root reaches up lazily"
        return
    assert reached <= ROOMS[room], f"{path} reaches {sorted(reached - ROOMS[room])}"


def test_only_settings_reads_the_environment() -> None:
    readers = [
        str(path)
        for path in modules()
        if path != Path("infra/settings.py") and any(word in (ROOT / path).read_text() for word in ("os.environ.get", "os.getenv", "os.environ["))
        and not _only_writes(path)
    ]  # fmt: skip
    assert readers == []


def _only_writes(path: Path) -> bool:
    """Whether every `os.environ[...]` of a module is assigned to (Spark and MLflow take some settings only so)."""
    tree = ast.parse((ROOT / path).read_text())
    text = (ROOT / path).read_text()
    subscripts = [n for n in ast.walk(tree) if isinstance(n, ast.Subscript) and ast.unparse(n.value) == "os.environ"]
    return "os.getenv" not in text and "os.environ.get" not in text and all(isinstance(n.ctx, ast.Store) for n in subscripts)


def test_what_serving_imports_starts_no_jvm() -> None:
    heavy = ("pyspark", "evidently", "feast.infra.offline_stores.contrib")
    code = (
        "import sys, pkgutil, importlib, serving\n"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(serving.__path__, 'serving.')]\n"
        f"print([m for m in sys.modules if m.startswith({heavy!r})])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().splitlines()[-1] == "[]"
