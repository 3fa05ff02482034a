"""The decision tables: what the promoted models say, in the lake and in the warehouse under the same names."""

from __future__ import annotations

from infra.tables import Table, columns

_PAIR = (("store_id", "string"), ("product_id", "string"))
_MODEL = ("model_version", "string", "version in the registry, or the baseline's name")

#: the quantile levels of the platform's forecasts and their column names
QUANTILES: dict[str, float] = {"q05": 0.05, "q10": 0.10, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q90": 0.90, "q95": 0.95}

FORECASTS = Table(
    "forecasts", "decisions",
    columns(("origin", "date", "last day known to the forecast"), *_PAIR, ("ds", "date", "the day forecast"),
            ("horizon", "int", "days ahead, 1 = tomorrow"), ("units", "double", "mean demand"),
            *((name, "double", f"quantile {level}") for name, level in QUANTILES.items()), _MODEL),
    ("origin", "store_id", "product_id", "ds"), "origin",
)  # fmt: skip

ORDERS = Table(
    "orders", "decisions",
    columns(("as_of", "date", "last day whose sales are known"), *_PAIR, ("supplier_id", "string"), ("order_units", "double"),
            ("reorder_point", "double"), ("order_up_to", "double"), ("on_hand", "double"), ("on_order", "double"),
            ("expected_demand", "double", "units over lead time and review period"), ("safety_stock", "double"),
            ("expected_cost", "double", "money, of holding and shortage with this order"),
            ("money_at_risk", "double", "money lost if nothing is ordered"), ("rank", "int", "1 = most money at risk"),
            ("why", "string", "the arithmetic, which adds up"), _MODEL),
    ("as_of", "store_id", "product_id"), "as_of",
)  # fmt: skip

ALERTS = Table(
    "alerts", "decisions",
    columns(("ds", "date"), *_PAIR, ("score", "double", "higher is stranger, comparable across series"), ("alert", "boolean"),
            ("kind", "string"), ("why", "string"), _MODEL),
    ("ds", "store_id", "product_id"), "ds",
)  # fmt: skip

SLOW_MOVERS = Table(
    "slow_movers", "decisions",
    columns(("origin", "date"), *_PAIR, ("probability", "double", "of no sale in the horizon, calibrated"),
            ("action", "string"), ("why", "string"), _MODEL),
    ("origin", "store_id", "product_id"), "origin",
)  # fmt: skip

RECOMMENDATIONS = Table(
    "recommendations", "decisions",
    columns(("origin", "date"), ("customer_id", "string"), ("rank", "int"), ("product_id", "string"), ("score", "double"),
            ("why", "string"), _MODEL),
    ("origin", "customer_id", "product_id"), "origin",
)  # fmt: skip

DECISIONS: tuple[Table, ...] = (FORECASTS, ORDERS, ALERTS, SLOW_MOVERS, RECOMMENDATIONS)
