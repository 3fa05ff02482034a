"""The desk before its first request."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from prometheus_client import CollectorRegistry

from infra.errors import NotReady
from infra.registry import Registry
from infra.settings import Settings
from serving.champions import Champions
from serving.desk import Desk, in_time
from serving.events import PredictionLog
from serving.metrics import Metrics
from serving.shadow import Shadow
from tests.serving.test_champions import Folders
from tests.serving.tiny import CARDS, LOOKUP, Steps, read_levels
from training.portable import save_portable


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


def test_an_answer_that_came_too_late_is_no_prediction(settings: Settings, tmp_path: Path) -> None:
    def read(service: str, keys: pd.DataFrame) -> pd.DataFrame:
        time.sleep(slow)
        return read_levels(service, keys)

    metrics = Metrics(CollectorRegistry())
    log = PredictionLog(settings.home / "predictions", dropped=metrics.dropped)
    save_portable(Steps(), tmp_path / "1")
    champions = Champions(Folders(tmp_path, {"champion": "1"}), {"lookup": LOOKUP}, metrics)
    desk, slow = Desk(champions, read, log, metrics, Shadow(0.0)), 0.0
    desk.start(poll_seconds=3600)
    items = [{"store_id": "S1", "product_id": "P1", "steps": 1}]
    assert desk.answer("lookup", items, time.monotonic() + 60)["items"][0]["ok"]
    slow = 0.5
    with pytest.raises(NotReady, match="nobody waits"):
        desk.answer("lookup", items, time.monotonic() + 0.4)
    desk.stop()
    assert sum(len(file.read_text().splitlines()) for file in (settings.home / "predictions").rglob("*.jsonl")) == 1


@pytest.mark.parametrize(("age_days", "found"), [(0.0, [True, True, False]), (2.0, [True, True, False]), (1.0, [True, False, False])])
def test_features_older_by_the_clock_than_the_settings_say_answer_nothing(age_days: float, found: list[bool]) -> None:
    known = pd.DataFrame({"found": [True, True, False], "known_at": [pd.Timestamp("2024-03-02"), pd.Timestamp("2024-03-01"), pd.NaT]})
    assert in_time(known, age_days, datetime(2024, 3, 3, tzinfo=UTC))["found"].tolist() == found
