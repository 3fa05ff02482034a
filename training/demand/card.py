"""The demand family in one glance."""

from __future__ import annotations

from training.demand.examples import EXAMPLE_FEATURES
from training.family import Card, Gate
from training.tables import QUANTILES

#: days ahead that the platform learns, is judged by and scores, and the longest horizon that the endpoint answers: who plans a delivery
#: or a promotion needs a number for the weeks behind it too, so each row says whether forecasts so far ahead were judged
HORIZON, LONGEST_HORIZON = 7, 28

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
    response={"ds": "string", "horizon": "integer", "units": "number", **dict.fromkeys(QUANTILES, "number"), "judged": "boolean"},
    feature_service="demand_v1",
    on_sale_only=True,
    drift_columns=("level", "trend_7_28", "zero_share_28", "in_stock_28", "price_ratio", "promotion_28", "dispersion"),
)
