"""Every week: each family is trained, tuned, judged and registered; a challenger whose gates pass becomes champion. The
same data again returns the version that is there."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset

CHAMPIONS = Asset("shelfcast_champions")
FAMILIES = ("demand", "stock", "anomaly", "slow_mover", "recommend")

with DAG(
    dag_id="ml_training",
    description="train, judge, register and promote every family",
    schedule="0 4 * * 1",
    start_date=datetime(2017, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=20),
    # a driver each would want all of the machine
    max_active_tasks=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=10)},
    tags=["shelfcast"],
) as dag:
    for family in FAMILIES:
        train = BashOperator(
            task_id=f"train_{family}",
            bash_command=f"shelfcast train {family} --json",
            append_env=True,
            execution_timeout=timedelta(hours=3),
            # 5: there is too little history yet to judge a model by; its promotion is then skipped too
            skip_on_exit_code=5,
        )
        promote = BashOperator(
            task_id=f"promote_{family}",
            bash_command=f"shelfcast promote {family} --unattended --who airflow --why 'weekly training {{{{ ds }}}}: gates passed' --json",
            append_env=True,
            execution_timeout=timedelta(minutes=10),
            # 5: the gates kept the champion, or somebody rolled back: the next promotion is then a person's
            skip_on_exit_code=5,
            outlets=[CHAMPIONS],
        )
        train >> promote
