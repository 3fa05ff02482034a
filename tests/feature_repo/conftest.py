"""Features built once for the tests that only read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from infra.settings import Settings, load_settings
from infra.tables import Table
from tests.feature_repo.facts import frame_of, silver_rows, write_silver

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def built(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home whose features of 40 days are built, applied and stored online; read only."""
    from feature_repo.build import build_features

    settings = load_settings(home=tmp_path_factory.mktemp("built"))
    write_silver(spark, settings, silver_rows(40))
    build_features(spark, settings)
    return settings


@pytest.fixture
def daily_of(spark: SparkSession) -> Callable[[dict[Table, pd.DataFrame], date], pd.DataFrame]:
    """The dense panel of some facts, as pandas, in the order of its key."""
    from feature_repo.demand_daily import demand_daily_frame

    def make(facts: dict[Table, pd.DataFrame], until: date) -> pd.DataFrame:
        tables = {table.name: frame_of(spark, table, rows) for table, rows in facts.items()}
        return demand_daily_frame(tables, until).toPandas().sort_values(["store_id", "product_id", "ds"]).reset_index(drop=True)

    return make
