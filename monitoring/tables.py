"""The monitoring tables: drift, accuracy and what the policy answered, in the lake and in the warehouse under the same
names. A report of the same day replaces its own rows (`ds` is the day the report is about)."""

from __future__ import annotations

from infra.tables import Table, columns

_RUN = (("ds", "date", "the day reported on"), ("run_at", "timestamp", "when the report ran, UTC"), ("family", "string"))

DRIFT = Table(
    "drift", "monitoring",
    columns(*_RUN, ("column_name", "string", "feature or prediction that was compared"),
            ("method", "string", "wasserstein or jensenshannon"), ("statistic", "double", "distance of current from reference"),
            ("threshold", "double", "at or above it the column has drifted; never below the noise of the sample size"),
            ("drifted", "boolean"), ("reference_days", "string", "first day/last day of the reference window"),
            ("current_days", "string", "first day/last day of the current window"), ("n", "bigint", "rows of each sample")),
    ("ds", "family", "column_name"), "ds",
)  # fmt: skip

ACCURACY = Table(
    "accuracy", "monitoring",
    columns(*_RUN, ("origin", "date", "last day known to the predictions that are judged"), ("model_version", "string"),
            ("segment", "string", "all, `horizon N`, or a group of series"), ("metric", "string", "wape, bias, wql, coverage, ..."),
            ("value", "double"), ("n", "bigint", "predictions whose actual has arrived")),
    ("ds", "family", "origin", "model_version", "segment", "metric"), "ds",
)  # fmt: skip

POLICY = Table(
    "policy", "monitoring",
    columns(*_RUN, ("action", "string", "nothing, alert, retrain or rollback"), ("why", "string", "one sentence with the numbers"),
            ("model_version", "string", "the champion that was looked at"),
            ("value", "double", "its live metric, null while no actual has arrived"), ("expected", "double", "what it was promoted on"),
            ("n", "bigint", "actuals"), ("drifted", "bigint", "columns that drifted"), ("watched", "bigint", "columns compared")),
    ("ds", "family"), "ds",
)  # fmt: skip

MONITORING: tuple[Table, ...] = (DRIFT, ACCURACY, POLICY)
