"""The slow-mover family in one glance; light: serving reads it."""

from __future__ import annotations

from training.family import Card, Gate

#: days in which nothing is sold: the label and the answer
HORIZON = 56
#: days of those whose sales must be known for a silence to say anything: a store that was closed sold nothing of what sells
LEAST_KNOWN_DAYS = 14

#: features of `slow_mover_v1` that the model learns from
FEATURES = (
    "age_days", "days_since_sale", "sale_days_28", "sale_days_91", "sale_days_182", "sale_gap_days", "units_28", "units_91",
    "known_days_91", "price_ratio", "promotion_days_28", "category_units_28", "category_trend",
)  # fmt: skip

CARD = Card(
    name="slow_mover",
    doc=f"The chance that a store and product sells nothing in the next {HORIZON} days, and what to do about it.",
    label="silent",
    features=FEATURES,
    metric="log_loss",
    gates=(
        Gate("log_loss", "baseline", 1.0),
        Gate("brier", "baseline", 1.0),
        Gate("log_loss", "champion", 1.02),
    ),
    endpoint="/v1/slow-movers/classify",
    request={"store_id": "string", "product_id": "string"},
    response={"probability": "number", "action": "string", "why": "string"},
    feature_service="slow_mover_v1",
    drift_columns=("days_since_sale", "sale_days_91", "sale_gap_days", "price_ratio", "category_trend"),
)  # fmt: skip
