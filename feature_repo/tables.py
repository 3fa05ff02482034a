"""The gold tables: the dense panel and the features of each entity, with the moment from which a row was known."""

from __future__ import annotations

from feature_repo.demand_features import ORIGIN_FEATURES
from infra.tables import Table, columns

_PAIR = (("store_id", "string"), ("product_id", "string"))
_PAIR_DAY = (
    ("pair_id", "string", "the one join key of a store and product, see feature_repo/keys.py"), *_PAIR,
    ("ds", "date", "the last day the features look at"),
    ("known_at", "timestamp", "ds + 1 day, 00:00: when the day has closed and the row is known"),
)  # fmt: skip
_PAIR_KEY = ("store_id", "product_id", "ds")

DEMAND_DAILY = Table(
    "demand_daily", "gold",
    columns(*_PAIR, ("ds", "date"), ("units", "double", "units sold; 0 on a day without sale, null where the feed is missing"),
            ("open", "boolean", "false on a closed day"), ("in_stock", "double", "share of open hours with stock, 1 where not recorded"),
            ("price", "double", "shelf price, else what was paid per unit"), ("regular_price", "double", "price without promotion"),
            ("promotion", "double", "1 while a discount runs"), ("display", "double", "1 while on display"),
            ("mailer", "double", "1 while in the mailer"), ("revenue", "double", "money"), ("lines", "bigint", "purchase lines"),
            ("baskets", "bigint", "distinct baskets"), ("returned_units", "double")),
    _PAIR_KEY, "ds", "a row for every pair and day from its first event to the last known day",
)  # fmt: skip

DEMAND_FEATURES = Table(
    "demand_features", "gold",
    columns(*_PAIR_DAY, *((name, "double") for name in ORIGIN_FEATURES),
            ("store_shut", "double", "1 where the store had shut by then, see feature_repo/shut.py; else 0")),
    _PAIR_KEY, "ds", "what the demand model knows of a pair at the end of each day",
)  # fmt: skip

STOCK_FEATURES = Table(
    "stock_features", "gold",
    columns(*_PAIR_DAY, ("supplier_id", "string"), ("on_hand", "double", "units at closing"),
            ("on_order", "double", "units ordered and not yet received"), ("on_order_lines", "double", "open order lines"),
            ("next_arrival_days", "double", "days to the first promised arrival, 0 when overdue; null when nothing is on order"),
            ("last_arrival_days", "double", "days to the last promised arrival; null when nothing is on order"),
            ("in_stock_28d", "double", "mean in_stock over the open days of the last 28"),
            ("stockout_days_28d", "double", "open days of the last 28 that ended or ran partly without stock"),
            ("learned_lead_time_days", "double", "mean over the supplier's deliveries received so far; before the first as promised"),
            ("learned_lead_time_days_sd", "double", "its standard deviation; null before the second delivery"),
            ("lead_time_receipts", "double", "deliveries it was learned from"),
            ("shelf_price", "double", "price of the day, else the last one known"), ("unit_cost", "double", "money"),
            ("pack_size", "double", "units"), ("lead_time_days", "double", "promised days from order to shelf"),
            ("review_period_days", "double"), ("shelf_life_days", "double", "days, null when it keeps")),
    _PAIR_KEY, "ds", "the shelf, what is on its way to it, and the terms of supply",
)  # fmt: skip

PAIR_ACTIVITY = Table(
    "pair_activity", "gold",
    columns(*_PAIR_DAY, ("age_days", "double", "days since the pair's first event"),
            ("days_since_sale", "double", "days since the last sale; null before the first"),
            ("sale_days_28", "double"), ("sale_days_91", "double"), ("sale_days_182", "double", "days with a sale among the last 182"),
            ("product_others", "double", "days with a sale among the last 28 of the same product in other stores, summed over them"),
            ("sale_gap_days", "double", "mean days between sale days so far; null before the second"),
            ("units_28", "double"), ("units_91", "double", "units sold in the last 91 days"),
            ("known_days_91", "double", "open days among the last 91 whose sales are known"), ("known_days_56", "double"),
            ("open_days_56", "double", "days among the last 56 on which the store was not closed; 0: it has shut"),
            ("price_ratio", "double", "price / regular price"), ("promotion_days_28", "double"),
            ("category_units_28", "double", "units of the category over all stores in the last 28 days"),
            ("category_trend", "double", "category_units_28 / a third of its units in the 84 days before; null where that is 0")),
    _PAIR_KEY, "ds", "how alive a pair is: the features of slow movers",
)  # fmt: skip

CUSTOMER_FEATURES = Table(
    "customer_features", "gold",
    columns(("customer_id", "string"), ("ds", "date", "a Sunday, or the last known day"),
            ("known_at", "timestamp", "ds + 1 day, 00:00"), ("baskets_8w", "double"),
            ("baskets_26w", "double", "baskets of the last 26 weeks"),
            ("spend_8w", "double", "money"), ("spend_26w", "double", "money"), ("recency_days", "double", "days since the last basket"),
            ("distinct_products", "double", "products ever bought"), ("tenure_days", "double", "days since the first basket")),
    ("customer_id", "ds"), "ds", "weekly snapshots of what a customer is like",
)  # fmt: skip

GOLD: tuple[Table, ...] = (DEMAND_DAILY, DEMAND_FEATURES, STOCK_FEATURES, PAIR_ACTIVITY, CUSTOMER_FEATURES)
