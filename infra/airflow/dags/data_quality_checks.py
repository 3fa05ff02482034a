"""After each ingest: what there is, whether the newest data can be decided on, and what the policy makes of drift and accuracy.
`report` writes its page and its own tables, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset

FACTS = Asset("shelfcast_facts")

with DAG(
    dag_id="data_quality_checks",
    description="tables, quarantine, drift and accuracy",
    schedule=[FACTS],
    start_date=datetime(2017, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["shelfcast"],
) as dag:
    status = BashOperator(
        task_id="status", bash_command="shelfcast status --json", append_env=True, execution_timeout=timedelta(minutes=10)
    )
    report = BashOperator(
        task_id="report",
        bash_command="shelfcast report --json",
        append_env=True,
        execution_timeout=timedelta(hours=1),
        # 5: no champion has decided anything yet, so there is nothing to report on
        skip_on_exit_code=5,
    )
    quality = BashOperator(
        task_id="quality",
        bash_command="shelfcast quality --json",
        append_env=True,
        execution_timeout=timedelta(minutes=10),
        # bad data does not mend itself within the pause of a retry
        retries=0,
    )
    status >> [quality, report]
