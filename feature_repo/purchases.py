"""What is known to have been bought: the one definition for customers' features, for what recommends and for what judges it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from data_ingest.landing import TOLERANCE
from data_ingest.tables import BASKETS, PURCHASE_HISTORY
from feature_repo.demand_daily import read_or_empty
from infra.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: the tables that purchases are known from: what was remembered at the start, and what events have told since
PURCHASES = (PURCHASE_HISTORY, BASKETS)

#: a line's identity; with store and day, since many tills count their receipts anew
_LINE = ["basket_id", "product_id", "store_id", "ds"]
#: local days run ahead of UTC by so much at most
_FURTHEST_EAST = timedelta(hours=14)


def purchases(spark: SparkSession, lake: Lake) -> DataFrame:
    """Every known basket line once, in the columns of PURCHASE_HISTORY, customers known or not: the history, and the ingested
    baskets that it lacks. No rows where neither was ever written."""
    from pyspark.sql import functions as F

    # an earlier release remembered a purchase of the year 2042 whose event went to quarantine
    latest = (datetime.now(UTC) + TOLERANCE + _FURTHEST_EAST).date()
    history = read_or_empty(spark, lake, PURCHASE_HISTORY).where(F.col("ds") <= F.lit(latest))
    ingested = read_or_empty(spark, lake, BASKETS).join(history.select(*_LINE), _LINE, "left_anti")
    return history.unionByName(ingested)
