"""The desk before its first request."""

from __future__ import annotations

import pandas as pd
import pytest
from prometheus_client import CollectorRegistry

from infra.errors import NotReady
from infra.registry import Registry
from infra.settings import Settings
from serving.champions import Champions
from serving.desk import Desk
from serving.events import PredictionLog
from serving.metrics import Metrics
from serving.shadow import Shadow
from tests.serving.tiny import CARDS, read_levels


@pytest.mark.parametrize("there", [True, False])
def test_online_features_are_opened_at_the_start_where_they_are_there(settings: Settings, there: bool) -> None:
    opened = []

    def read(service: str, keys: pd.DataFrame) -> pd.DataFrame:
        opened.append(service)
        if not there:
            raise NotReady("there is no feature registry yet.")
        return read_levels(service, keys)

    metrics = Metrics(CollectorRegistry())
    log = PredictionLog(settings.home / "predictions", dropped=metrics.dropped)
    desk = Desk(Champions(Registry(settings), CARDS, metrics), read, log, metrics, Shadow(0.0))
    desk.start(poll_seconds=3600)
    desk.stop()
    assert opened == ["levels", "stock_v1"]
