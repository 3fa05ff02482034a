"""What there is: the lake's tables and versions, the models and their aliases, the reports."""

from __future__ import annotations

from typing import Any

from data_ingest.tables import BRONZE, DIMENSIONS, FACTS
from feature_repo.tables import GOLD
from infra.lake import Lake
from infra.registry import Registry
from infra.settings import Settings
from monitoring.tables import MONITORING
from training.tables import DECISIONS


def status(settings: Settings) -> dict[str, Any]:
    """Tables by layer with their Delta versions, models with aliases, the newest report; needs no JVM."""
    lake = Lake(settings.lake_url)
    layers: dict[str, dict[str, int]] = {}
    for table in (*BRONZE, *DIMENSIONS, *FACTS, *GOLD, *DECISIONS, *MONITORING):
        if lake.exists(table):
            layers.setdefault(table.layer, {})[table.name] = lake.version(table)
    models = {row["family"]: row["aliases"] or "no champion" for row in Registry(settings).models()}
    reports = sorted(settings.reports.glob("*/index.html"))
    return {
        "home": str(settings.home), **{f"{layer} (table version)": tables for layer, tables in layers.items()},
        "models": models or "none yet", "report": str(reports[-1]) if reports else "none yet",
    }  # fmt: skip
