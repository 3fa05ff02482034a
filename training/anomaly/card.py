"""The anomaly family in one glance; light: serving reads it."""

from __future__ import annotations

from training.family import Card, Gate

#: what is known of a pair before the day that is judged: features of `demand_v1`
FEATURES = ("level", *(f"dow_{d}" for d in range(7)), "dispersion", "adi", "days_in_stock_since_sale", "mean_28", "mean_91", "price")

CARD = Card(
    name="anomaly",
    doc="How strange a day of a store and product is: units, price, returns and the feed against what was known the day before.",
    label="injected",
    features=FEATURES,
    metric="one_minus_average_precision",
    gates=(
        Gate("one_minus_average_precision", "baseline", 1.0),
        Gate("one_minus_average_precision", "baseline", 1.05, per_segment=True),
        Gate("one_minus_average_precision", "champion", 1.02),
    ),
    endpoint="/v1/anomalies/score",
    request={
        "store_id": "string", "product_id": "string", "ds": "date", "units": "number 0..", "revenue": "number 0..?",
        "lines": "number 0..?", "baskets": "number 0..?", "returns": "number 0..?", "price": "number 0..?",
    },
    response={"score": "number", "alert": "boolean", "kind": "string", "expected_units": "number", "why": "string"},
    feature_service="demand_v1",
    drift_columns=("level", "dispersion", "adi", "price"),
)  # fmt: skip
