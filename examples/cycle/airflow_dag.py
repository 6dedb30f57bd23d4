"""One turn of emolab's loop every hour, as a DAG of Airflow 3; copy it into the folder of your DAGs.

One run at a time. A run that fails is tried again after ten minutes, and goes on where it was.
"""

from datetime import datetime, timedelta

from airflow.sdk import dag, task

WORKSPACE = "/srv/faces"


@dag(
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10), "execution_timeout": timedelta(hours=12)},
    tags=["emolab"],
)
def emolab_cycle() -> None:
    """Pull, train, suggest and push, where enough votes are new."""

    @task.bash(env={"EMOLAB_ACTOR": "airflow"}, append_env=True)
    def cycle() -> str:
        return f"emolab -w {WORKSPACE} cycle"

    cycle()


loop = emolab_cycle()
