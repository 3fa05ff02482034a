"""Whether the newest data can be decided on: what the warehouse counts of it, each against a bound."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from feature_repo.demand_daily import last_day_over
from infra.doctor import Check
from infra.errors import NotReady
from infra.settings import Settings
from infra.warehouse import Warehouse

#: the newest days over which books and shelf are compared
STOCK_DAYS = 7


@dataclass(frozen=True)
class Bounds:
    """`accepted`: least share of each topic's lines; `silent_stores`: most stores from which the newest whole day is missing;
    `impossible_stock`: largest share of days of pairs, of the newest STOCK_DAYS, on which the books contradict the shelf."""

    accepted: float = 0.95
    silent_stores: int = 0
    impossible_stock: float = 0.05


def quality(settings: Settings, bounds: Bounds | None = None, now: datetime | None = None) -> list[Check]:
    """The checks of the newest landings and days, each with where to look when it does not hold. A day that still runs at `now`
    (default: the clock) tells nothing of who is silent. Raises NotReady before the first ingest."""
    warehouse, bounds = Warehouse(settings.warehouse_url), bounds or Bounds()
    warehouse.bootstrap()
    return [
        *_accepted(warehouse, bounds.accepted),
        _silent(warehouse, bounds.silent_stores, now or datetime.now(UTC)),
        _impossible(warehouse, bounds.impossible_stock),
    ]


def _accepted(warehouse: Warehouse, least: float) -> list[Check]:
    lately = warehouse.named("quality_accepted_lately")
    if lately.empty:
        raise NotReady("the warehouse counts no landed lines yet: run `shelfcast ingest` first.")
    counted = zip(lately["topic"], lately["accepted"].astype(int), lately["told"].astype(int), strict=True)
    return [
        _judged(
            f"accepted {topic}",
            accepted >= least * told,
            f"{accepted:,} of {told:,} lines of the last day of landings; expected at least {least:.0%}",
            "shelfcast query quality_quarantine_by_rule",
        )
        for topic, accepted, told in counted
    ]


def _silent(warehouse: Warehouse, most: int, now: datetime) -> Check:
    # no rows come without columns
    stores = warehouse.query("SELECT utc_offset_hours, close_hour FROM stores").reindex(columns=["utc_offset_hours", "close_hour"])
    over = {"over": last_day_over(stores, now)}
    known = warehouse.query("SELECT max(ds) AS day, count() AS n FROM store_days WHERE ds <= {over:Date}", over)
    if not known["n"].iloc[0]:
        return _judged("stores heard", True, "no day is over in every store yet")
    newest = known["day"].iloc[0].date()
    missing = warehouse.query("SELECT store_id FROM store_days WHERE ds = {day:Date} AND status = 'feed_missing'", {"day": newest})
    silent = [] if missing.empty else sorted(missing["store_id"])
    named = f": {', '.join(silent[:5])}{', ...' if len(silent) > 5 else ''}" if silent else ""
    found = f"{len(silent)} stores told nothing of {newest}{named}; expected at most {most}"
    return _judged("stores heard", len(silent) <= most, found, "shelfcast query quality_missing_feeds")


def _impossible(warehouse: Warehouse, most: float) -> Check:
    known = warehouse.query("SELECT max(ds) AS day, count() AS n FROM stock_daily")
    if not known["n"].iloc[0]:
        return _judged("stock possible", True, "no stock is told of")
    until = known["day"].iloc[0].date()
    asked = {"since": until - timedelta(days=STOCK_DAYS - 1), "until": until}
    days = int(warehouse.query("SELECT count() AS n FROM stock_daily WHERE ds BETWEEN {since:Date} AND {until:Date}", asked)["n"].iloc[0])
    wrong = warehouse.named("quality_impossible_stock", asked)
    bad = 0 if wrong.empty else int(wrong[["days_below_zero", "days_sold_without_stock"]].to_numpy().sum())
    found = f"on {bad:,} of {days:,} days of pairs up to {until} the books contradict the shelf; expected at most {most:.0%}"
    look = f"shelfcast query quality_impossible_stock --with since={asked['since']} --with until={until}"
    return _judged("stock possible", bad <= most * days, found, look)


def _judged(name: str, ok: bool, found: str, look: str = "") -> Check:
    return Check(name, ok, found, "" if ok else look)
