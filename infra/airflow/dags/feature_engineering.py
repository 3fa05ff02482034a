"""After each ingest: feature tables from the facts, the newest values to the online store."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset

FACTS, FEATURES = Asset("shelfcast_facts"), Asset("shelfcast_features")

with DAG(
    dag_id="feature_engineering",
    description="facts -> feature tables -> online store",
    schedule=[FACTS],
    start_date=datetime(2017, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=4),
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["shelfcast"],
) as dag:
    features = BashOperator(
        task_id="features",
        bash_command="shelfcast features --json",
        append_env=True,
        execution_timeout=timedelta(hours=2),
        outlets=[FEATURES],
    )
