"""What a planner reads at the end of a day's run: models against their baselines, orders, alerts, what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from data_ingest.tables import PRODUCTS, STORE_DAYS
from feature_repo.shut import OFF_SHELF_DAYS, SHUT_DAYS, off_shelf, shut_stores
from feature_repo.tables import DEMAND_FEATURES, STOCK_FEATURES
from infra.lake import Lake
from infra.registry import CHAMPION, Registry
from infra.settings import Settings
from infra.tables import Table
from training.family import load_card
from training.tables import ALERTS, FORECASTS, ORDERS, RECOMMENDATIONS, SLOW_MOVERS

NEXT = (
    "shelfcast serve                        ask the champions over HTTP",
    "shelfcast history demand               who promoted what, and why",
    "shelfcast rollback demand --why '...'  go back in one command",
    "shelfcast status                       tables, models, the last report",
    "shelfcast forecast --help              your own file, no event bus",
)


@dataclass(frozen=True)
class Section:
    """A titled table to read; `rows` share their keys."""

    title: str
    rows: list[dict[str, Any]]


def summary(settings: Settings) -> list[Section]:
    """The sections of the newest decisions, read without a JVM."""
    lake = Lake(settings.lake_url)
    shut = _shut(lake)
    names = lake.read_pandas(PRODUCTS, ["product_id", "description"]).set_index("product_id")["description"].to_dict()
    return [
        Section("Models against their baselines (lower is better)", _models(Registry(settings))),
        Section("Ten orders with the most money at risk", _orders(lake, names)),
        Section("Strangest days", _alerts(lake, names)),
        Section("Likeliest not to sell", _slow_movers(lake, names, shut)),
        Section("Decided today", _counts(lake)),
        *([Section(f"Closed for {SHUT_DAYS} days: no forecast, no order", [{"store": store} for store in shut])] if shut else []),
        *_off_shelf(lake),
    ]


def _models(registry: Registry) -> list[dict[str, Any]]:
    rows = []
    for model in registry.models():
        metric, version, numbers = load_card(model["family"]).metric, model["aliases"].get(CHAMPION), model["numbers"]
        if version is None:
            rows.append(
                {
                    "family": model["family"],
                    "champion": "none: no version passed its gates",
                    "metric": metric,
                    "value": "",
                    "baseline": "",
                    "better by": "",
                }
            )
            continue
        tags = registry.client.get_run(registry.run_id(model["family"], version)).data.tags
        value, baseline = numbers[metric], numbers[f"baseline_{metric}"]
        own = tags["contender"] == tags["baseline"]
        better = "the baseline serves" if own else f"{1 - value / baseline:.1%}"
        rows.append(
            {
                "family": model["family"],
                "champion": f"{tags['contender']} (version {version})",
                "metric": metric,
                "value": round(value, 4),
                "baseline": f"{baseline:.4f} ({tags['baseline']})",
                "better by": better,
            }
        )
    return rows


def _orders(lake: Lake, names: dict[Any, Any]) -> list[dict[str, Any]]:
    orders = _newest(lake, ORDERS, ["rank", "store_id", "product_id", "order_units", "money_at_risk", "why"])
    best = orders[orders["order_units"] > 0].nsmallest(10, "rank")
    return [
        {
            "rank": row.rank,
            "store": row.store_id,
            "product": _named(row.product_id, names),
            "order": f"{row.order_units:g}",
            "at risk": f"{row.money_at_risk:.2f}",
            "why": row.why,
        }
        for row in best.itertuples()
    ]


def _alerts(lake: Lake, names: dict[Any, Any]) -> list[dict[str, Any]]:
    alerts = _newest(lake, ALERTS, ["ds", "store_id", "product_id", "score", "alert", "kind", "why"], days=7)
    top = alerts[alerts["alert"]].nlargest(5, "score")
    return [
        {
            "day": row.ds,
            "store": row.store_id,
            "product": _named(row.product_id, names),
            "kind": row.kind,
            "score": f"{row.score:.1f}",
            "why": row.why,
        }
        for row in top.itertuples()
    ]


def _slow_movers(lake: Lake, names: dict[Any, Any], shut: list[str]) -> list[dict[str, Any]]:
    """Of the stores that trade: in one that has shut nothing sells."""
    slow = _newest(lake, SLOW_MOVERS, ["store_id", "product_id", "probability", "action", "why"])
    return [
        {
            "store": row.store_id,
            "product": _named(row.product_id, names),
            "no sale": f"{row.probability:.0%}",
            "action": row.action,
            "why": row.why,
        }
        for row in slow[~slow["store_id"].isin(shut)].nlargest(5, "probability").itertuples()
    ]


def _counts(lake: Lake) -> list[dict[str, Any]]:
    rows = []
    for table in (FORECASTS, ORDERS, ALERTS, SLOW_MOVERS, RECOMMENDATIONS):
        newest = _newest(lake, table, [table.day])
        if len(newest):
            rows.append({"table": f"{table.layer}/{table.name}", "day": newest[table.day].max(), "rows": len(newest)})
    return rows


def _shut(lake: Lake) -> list[str]:
    """The stores that nothing is forecast or ordered for."""
    known = _newest(lake, STORE_DAYS, ["store_id"])
    return [] if known.empty else sorted(shut_stores(lake, [known["ds"].max()])["store_id"])


def _off_shelf(lake: Lake) -> list[Section]:
    """How many pairs nothing is forecast or ordered for, by why; no section where there are none."""
    shelf = _newest(lake, STOCK_FEATURES, ["on_hand"])
    counts = {
        f"on offer for no hour of {OFF_SHELF_DAYS} days: no forecast, no order": int(
            off_shelf(_newest(lake, DEMAND_FEATURES, ["mean_91", "age_days"])).sum()
        ),
        "stock not known: no order": int(shelf["on_hand"].isna().sum()),
    }
    rows = [{"pairs": pairs, "why": why} for why, pairs in counts.items() if pairs]
    return [Section("Left out", rows)] if rows else []


def _newest(lake: Lake, table: Table, columns: list[str], days: int = 1) -> pd.DataFrame:
    """The rows of the table's newest `days` days; none where its family has not decided yet."""
    wanted = list(dict.fromkeys([*columns, table.day]))
    seen = lake.days(table, newest=days)
    if not seen:
        return table.arrow_schema().empty_table().to_pandas()[wanted]
    return lake.read_pandas(table, wanted, [(table.day, ">=", seen[0])])


def _named(product_id: Any, names: dict[Any, Any]) -> str:
    return f"{product_id} {names.get(product_id) or ''}".strip()[:40]
