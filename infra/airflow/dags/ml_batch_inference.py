"""After new features: the champions fill today's decision tables, in the lake and in the warehouse; the same day again
replaces itself. What waits for an asset cannot be backfilled: trigger a run with a `day` to fill in one that was missed."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, Param

FEATURES, DECISIONS = Asset("shelfcast_features"), Asset("shelfcast_decisions")
#: demand first: the other families may read its forecasts
FAMILIES = ("demand", "stock", "anomaly", "slow_mover", "recommend")

with DAG(
    dag_id="ml_batch_inference",
    description="forecasts, orders, alerts, slow movers and recommendations",
    schedule=[FEATURES],
    start_date=datetime(2017, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    max_active_tasks=1,
    params={"day": Param(None, type=["null", "string"], format="date", description="a past day without decisions; empty: today")},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    tags=["shelfcast"],
) as dag:
    scored = [
        BashOperator(
            task_id=f"score_{family}",
            # recommend is of all that is known now, and cannot look back
            bash_command=f"shelfcast score {family} {{% if params.day and '{family}' != 'recommend' %}}"
            "--day {{ params.day }} {% endif %}--json",
            append_env=True,
            execution_timeout=timedelta(hours=2),
            # 5: the family has no champion yet, or the past day its decisions
            skip_on_exit_code=5,
            # one that is skipped holds up no other
            trigger_rule="none_failed",
            outlets=[DECISIONS],
        )
        for family in FAMILIES
    ]
    for other in scored[1:]:
        scored[0] >> other
