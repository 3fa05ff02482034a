"""Every night: what is new in the event log becomes daily facts. `shelfcast` must be on the worker's PATH, with its
SHELFCAST_* variables; a run again changes nothing, since the ingest goes on from its checkpoints."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset

FACTS = Asset("shelfcast_facts")

with DAG(
    dag_id="etl_daily",
    description="events -> quality rules -> lake and warehouse -> daily facts; small files made large",
    schedule="0 2 * * *",
    start_date=datetime(2017, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5), "retry_exponential_backoff": True},
    tags=["shelfcast"],
) as dag:
    ready = BashOperator(task_id="doctor", bash_command="shelfcast doctor --json", append_env=True, execution_timeout=timedelta(minutes=5))
    ingest = BashOperator(
        task_id="ingest", bash_command="shelfcast ingest --json", append_env=True, execution_timeout=timedelta(hours=2), outlets=[FACTS]
    )
    maintain = BashOperator(
        task_id="maintain", bash_command="shelfcast maintain --json", append_env=True, execution_timeout=timedelta(hours=2)
    )
    ready >> ingest >> maintain
