"""What a report looks at: samples of gold features by windows, decisions by origin with what arrived since. Everything
that is read is bounded by one day or one origin at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from data_ingest.tables import PRODUCTS, SALES_DAILY, STOCK_DAILY, STORE_DAYS
from feature_repo.purchases import PURCHASES
from feature_repo.tables import DEMAND_DAILY, GOLD, PAIR_ACTIVITY
from infra.errors import NotReady
from infra.lake import Lake
from infra.tables import Table
from monitoring.accuracy import COLUMNS, forecast_accuracy, order_accuracy, recommendation_accuracy, slow_mover_accuracy
from monitoring.drift import SAMPLE_ROWS
from monitoring.windows import picked_days
from training.family import Card
from training.slow_mover.card import HORIZON as SLOW_MOVER_DAYS
from training.slow_mover.card import LEAST_KNOWN_DAYS
from training.tables import FORECASTS, ORDERS, RECOMMENDATIONS, SLOW_MOVERS

#: days back in which decisions are judged, and origins of them at most
LOOK_BACK_DAYS = 35
ORIGINS_AT_MOST = 8
RECOMMENDATION_DAYS = 28
ORDER_DAYS = 14
#: days before an order that also tell the pace at which a pair sells: after it the shelf may have been empty throughout
PACE_DAYS = 28
#: families whose live accuracy is the metric that they are promoted on
LIKE_TRAINED = ("demand", "slow_mover", "recommend")
_PAIR = ["store_id", "product_id"]


@dataclass(frozen=True)
class Span:
    """First and last business day that the lake knows."""

    first: date
    last: date


def known_span(lake: Lake) -> Span:
    """The lake's business days, from the days of its stores; raises NotReady before the first ingest."""
    days = lake.days(STORE_DAYS)
    if not days:
        raise NotReady("the lake knows no business day yet: run `shelfcast ingest` first.")
    return Span(days[0], days[-1])


def tables_of(columns: Sequence[str]) -> list[tuple[Table, list[str]]]:
    """The gold tables that hold `columns`, the one with most first, each column once; unknown columns are left out."""
    left = list(columns)
    found: list[tuple[Table, list[str]]] = []
    while True:
        best = max(GOLD, key=lambda table: len(set(left) & set(table.names)))
        held = [name for name in left if name in best.names]
        if not held:
            return found
        found.append((best, held))
        left = [name for name in left if name not in held]


def sample(lake: Lake, table: Table, columns: Sequence[str], window: tuple[date, date], seed: int) -> pd.DataFrame:
    """At most SAMPLE_ROWS random rows of a window: of few days that hold every weekday, or of the whole window where a
    table has no rows on those (weekly snapshots). Reads one day at a time."""
    days = picked_days(window)
    share = -(-SAMPLE_ROWS // len(days))
    parts = [_of_day(lake, table, columns, day, share, seed) for day in days]
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    if rows.empty or len(rows) < SAMPLE_ROWS // 2:
        rows = lake.read_pandas(table, columns, [(table.day, ">=", window[0]), (table.day, "<=", window[1])])
    return rows.sample(min(len(rows), SAMPLE_ROWS), random_state=seed).reset_index(drop=True)


def live_metric(card: Card) -> str | None:
    """What tells a family's live accuracy in the terms in which it was promoted; None where nothing does: orders were judged on
    a simulated shelf, alerts by planted anomalies."""
    return card.metric if card.name in LIKE_TRAINED else None


def judged(lake: Lake, family: str, span: Span) -> tuple[pd.DataFrame, str]:
    """Rows of monitoring.accuracy of a family with `origin` and `model_version`, and a sentence where there are none yet."""
    judge = {"demand": _forecasts, "stock": _orders, "slow_mover": _slow_movers, "recommend": _recommendations}.get(family)
    if judge is None:
        return _labelled([]), "nobody has said yet which alerts were right, so their accuracy is unknown."
    return judge(lake, span)


def _forecasts(lake: Lake, span: Span) -> tuple[pd.DataFrame, str]:
    parts = []
    for origin in _origins(lake, FORECASTS, span, wait_days=1):
        frame = lake.read_pandas(FORECASTS, filters=[("origin", "=", origin)])
        actuals = _between(lake, DEMAND_DAILY, origin, max(frame["ds"]), [*_PAIR, "ds", "units", "open", "in_stock"])
        parts += [(origin, str(version), forecast_accuracy(part, actuals)) for version, part in frame.groupby("model_version")]
    return _labelled(parts), "no day that was forecast has passed yet."


def _orders(lake: Lake, span: Span) -> tuple[pd.DataFrame, str]:
    parts, products = [], lake.read_pandas(PRODUCTS, ["product_id", "unit_cost"])
    for origin in _origins(lake, ORDERS, span, wait_days=ORDER_DAYS):
        frame = lake.read_pandas(ORDERS, filters=[("as_of", "=", origin)])
        until = origin + timedelta(days=ORDER_DAYS)
        before = origin - timedelta(days=PACE_DAYS)
        days = _between(lake, DEMAND_DAILY, before, until, [*_PAIR, "ds", "units", "in_stock", "price"])
        stock = _between(lake, STOCK_DAILY, origin, until, [*_PAIR, "ds", "on_hand_close"])
        days = days.merge(stock, on=[*_PAIR, "ds"], how="left")
        versions = frame.groupby("model_version")
        parts += [(origin, str(version), order_accuracy(part, days, products, origin)) for version, part in versions]
    return _labelled(parts), f"orders are judged {ORDER_DAYS} days after they were proposed, and none is that old."


def _slow_movers(lake: Lake, span: Span) -> tuple[pd.DataFrame, str]:
    parts = []
    for origin in _origins(lake, SLOW_MOVERS, span, wait_days=SLOW_MOVER_DAYS):
        frame = lake.read_pandas(SLOW_MOVERS, filters=[("origin", "=", origin)])
        sales = _between(lake, SALES_DAILY, origin, origin + timedelta(days=SLOW_MOVER_DAYS), [*_PAIR, "units"])
        sold = sales.loc[sales["units"] > 0, _PAIR].drop_duplicates()
        alive = lake.read_pandas(PAIR_ACTIVITY, _PAIR, [("ds", "=", origin), ("sale_days_182", ">", 0)])
        # as in training: of what has long been dead anybody is right, and a closed store says nothing of what sells
        known = [("ds", "=", origin + timedelta(days=SLOW_MOVER_DAYS)), (f"known_days_{SLOW_MOVER_DAYS}", ">=", LEAST_KNOWN_DAYS)]
        frame = frame.merge(alive, on=_PAIR).merge(lake.read_pandas(PAIR_ACTIVITY, _PAIR, known), on=_PAIR)
        parts += [(origin, str(version), slow_mover_accuracy(part, sold)) for version, part in frame.groupby("model_version")]
    return _labelled(parts), f"the {SLOW_MOVER_DAYS} days that the first list looked ahead have not passed yet."


def _recommendations(lake: Lake, span: Span) -> tuple[pd.DataFrame, str]:
    parts = []
    for origin in _origins(lake, RECOMMENDATIONS, span, wait_days=RECOMMENDATION_DAYS):
        frame = lake.read_pandas(RECOMMENDATIONS, filters=[("origin", "=", origin)])
        until = origin + timedelta(days=RECOMMENDATION_DAYS)
        known = [_between(lake, table, origin, until, ["customer_id", "product_id"]) for table in PURCHASES if lake.exists(table)]
        bought = pd.concat(known).drop_duplicates()
        parts += [(origin, str(version), recommendation_accuracy(part, bought)) for version, part in frame.groupby("model_version")]
    return _labelled(parts), f"recommendations are judged {RECOMMENDATION_DAYS} days after they were made, and none is that old."


def _origins(lake: Lake, table: Table, span: Span, wait_days: int) -> list[date]:
    """The newest origins whose actuals have arrived, oldest first."""
    ripe = span.last - timedelta(days=wait_days)
    return lake.days(table, since=ripe - timedelta(days=LOOK_BACK_DAYS), until=ripe, newest=ORIGINS_AT_MOST)


def _between(lake: Lake, table: Table, after: date, until: date, columns: list[str]) -> pd.DataFrame:
    return lake.read_pandas(table, columns, [("ds", ">", after), ("ds", "<=", until)])


def _of_day(lake: Lake, table: Table, columns: Sequence[str], day: date, rows: int, seed: int) -> pd.DataFrame:
    found = lake.read_pandas(table, columns, [(table.day, "=", day)])
    return found.sample(min(len(found), rows), random_state=seed + day.toordinal() % 1000)


def _labelled(parts: Iterable[tuple[date, str, pd.DataFrame]]) -> pd.DataFrame:
    empty = pd.DataFrame(columns=["origin", "model_version", *COLUMNS])
    frames = [frame.assign(origin=origin, model_version=version) for origin, version, frame in parts if len(frame)]
    return pd.concat(frames, ignore_index=True)[list(empty.columns)] if frames else empty
