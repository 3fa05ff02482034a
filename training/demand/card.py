"""The demand family in one glance."""

from __future__ import annotations

from training.demand.examples import EXAMPLE_FEATURES
from training.family import Card, Gate
from training.tables import QUANTILES

#: the longest horizon the endpoint answers, days
LONGEST_HORIZON = 28

CARD = Card(
    name="demand",
    doc="Daily demand of each store and product for the next days: mean and calibrated quantiles.",
    label="units",
    features=EXAMPLE_FEATURES,
    metric="wql",
    gates=(
        Gate("wql", "baseline", 1.0),
        Gate("rmsse", "baseline", 1.0),
        Gate("wql", "champion", 1.02),
        Gate("rmsse", "champion", 1.02),
        Gate("wql", "baseline", 1.05, per_segment=True),
    ),
    endpoint="/v1/demand/forecast",
    request={"store_id": "string", "product_id": "string", "horizon": f"integer 1..{LONGEST_HORIZON}"},
    response={"ds": "string", "horizon": "integer", "units": "number", **dict.fromkeys(QUANTILES, "number")},
    feature_service="demand_v1",
    drift_columns=("level", "trend_7_28", "zero_share_28", "in_stock_28", "price_ratio", "promotion_28", "dispersion"),
)
