"""The recommend family at a glance; light: serving reads it."""

from __future__ import annotations

from training.family import Card, Gate

#: products given when a request names no k, and how many are stored for a customer: more cannot be asked for
DEFAULT_K, MOST_K = 10, 30

CARD = Card(
    name="recommend",
    doc="What a customer is likeliest to buy next, or what completes a basket",
    label="wanted",
    features=(),
    metric="one_minus_ndcg",
    gates=(
        Gate("one_minus_ndcg", "baseline", at_most=1.0),
        Gate("one_minus_recall", "baseline", at_most=1.0),
        Gate("one_minus_ndcg", "baseline", at_most=1.05, per_segment=True),
        Gate("one_minus_ndcg", "champion", at_most=1.005),
    ),
    endpoint="/v1/recommendations",
    request={"customer_id": "string?", "k": f"integer 1..{MOST_K}?", "basket": "array?"},
    response={"rank": "integer", "product_id": "string", "score": "number", "why": "string"},
    feature_service="",
    entity=("customer_id",),
    drift_columns=("baskets_8w", "spend_8w", "recency_days"),
)
