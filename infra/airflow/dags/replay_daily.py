"""For a try-out without an event source of one's own: each run writes the events of the day before it, of the real sales
of 2017. Unpause it and backfill 2017-01-02 to 2018-01-01; a day written again replaces itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="replay_daily",
    description="one day of Complete Journey as events",
    schedule="0 1 * * *",
    start_date=datetime(2017, 1, 2),
    end_date=datetime(2018, 1, 1, 23),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["shelfcast"],
) as dag:
    replay = BashOperator(
        task_id="replay",
        bash_command="shelfcast replay --start {{ macros.ds_add(ds, -1) }} --end {{ macros.ds_add(ds, -1) }} --json",
        append_env=True,
        execution_timeout=timedelta(hours=1),
    )
