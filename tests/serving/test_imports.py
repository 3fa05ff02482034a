"""The serving image has no JVM: a request is answered where Spark, Evidently and the like are not even installed.

They are made impossible to import rather than looked for afterwards: MLflow tries `import pyspark` wherever it is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import asyncio, json, sys, httpx

class NotInstalled:
    names = {"pyspark", "py4j", "delta", "evidently", "optuna", "chdb", "deltalake"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
from infra.settings import load_settings
from serving.app import http_app
from serving.desk import make_desk, online_reader
from serving.service import build
from training.family import family_names, load_card
from tests.serving.tiny import CARDS

async def ask(app, path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http:
        return (await http.post(path, json={"items": [{"store_id": "S1", "units": 1}]})).json()

settings = load_settings(home=sys.argv[1])
cards = {**CARDS, **{name: load_card(name) for name in family_names()}}
build(settings, cards, lambda: desk)
desk = make_desk(settings, cards, online_reader(settings))
desk.champions.poll()
told = asyncio.run(ask(http_app(cards, lambda: desk, 60), "/v1/sum"))
import feature_repo.online
print(json.dumps({"offline": [name for name in sys.modules if name.endswith("offline_stores.spark")], "told": told}))
"""


def test_serving_imports_nothing_heavy_and_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tmp_path)], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["offline"] == []
    assert told["told"]["error"] == "sum has no champion yet: run `shelfcast train sum` and `shelfcast promote sum` first."
