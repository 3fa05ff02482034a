"""The stock family in one glance."""

from __future__ import annotations

from feature_repo.demand_features import ORIGIN_FEATURES
from training.family import Card, Gate

#: what is known of the supply beside the demand features
SUPPLY_FEATURES = ("in_stock_28d", "stockout_days_28d", "learned_lead_time_days", "learned_lead_time_days_sd", "review_period_days")

CARD = Card(
    name="stock",
    doc="Units to order of each store and product: demand over the lead time and review period, and the order that costs least.",
    label="lead_time_demand",
    features=(*ORIGIN_FEATURES, *SUPPLY_FEATURES),
    metric="cost",
    gates=(Gate("cost", "baseline", 1.0), Gate("cost", "champion", 1.02)),
    endpoint="/v1/stock/reorder",
    request={"store_id": "string", "product_id": "string", "on_hand": "number or stored", "on_order": "number 0.. or stored"},
    response={
        "order_units": "number",
        "reorder_point": "number",
        "order_up_to": "number",
        "expected_cost": "number",
        "money_at_risk": "number",
        "why": "string",
    },
    feature_service="stock_v1",
    on_sale_only=True,
    drift_columns=("level", "dispersion", "zero_share_28", "in_stock_28d", "learned_lead_time_days", "learned_lead_time_days_sd"),
)
