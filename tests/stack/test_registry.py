"""The registry on an MLflow server with artifacts on S3: as on sqlite (tests/infra/test_registry.py)."""

from __future__ import annotations

import pandas as pd

from infra.registry import CHAMPION, PREVIOUS, Registry
from tests.infra.test_registry import registered
from training.portable import load_portable


def test_versions_are_registered_promoted_fetched_and_rolled_back(settings, tmp_path) -> None:
    first, second = (registered(settings, tmp_path, value) for value in (1.0, 2.0))
    registry = Registry(settings)
    source = registry.client.get_model_version("shelfcast-demand", second)
    assert registry.client.get_run(source.run_id).info.artifact_uri.startswith("s3://shelfcast/")
    before = len(registry.history("demand"))
    registry.promote("demand", first, "ann", "first model")
    registry.promote("demand", second, "ben", "better by a tenth")
    assert [registry.version("demand", alias) for alias in (CHAMPION, PREVIOUS)] == [second, first]
    model = load_portable(registry.folder("demand", second))
    assert model.predict(pd.DataFrame({"x": [1, 2]}))["units"].tolist() == [2.0, 2.0]
    assert registry.rollback("demand", "ann", "complaints").to_version == first
    moves = registry.history("demand")[before:]
    assert [(move.action, move.to_version, move.done) for move in moves] == [
        ("promote", first, True),
        ("promote", second, True),
        ("rollback", first, True),
    ]
