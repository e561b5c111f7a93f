"""The sensor that ends runs whose process was killed: Dagster would show them as "Started" for ever, and they would
keep the place of their export's next run.

Their windows need nothing of the kind: they go on from the ledger.
"""

from __future__ import annotations

import dagster as dg

from assets.graph import OWNER
from resources.owner import is_dead

UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING]
EVERY_SECONDS = 30


def end_dead(instance: dg.DagsterInstance) -> list[str]:
    """Report the runs of processes that are certainly gone as failed; their ids."""
    dead = [run for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)) if is_dead(run.tags.get(OWNER, ""))]
    for run in dead:
        instance.report_run_failed(
            run, "The process of this run was ended from outside; the windows go on from the ledger."
        )
    return [run.run_id for run in dead]


@dg.sensor(
    name="end_dead_runs", minimum_interval_seconds=EVERY_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process was killed, so that they do not hold up the next run of their export.",
)  # fmt: skip
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Starts nothing."""
    ended = end_dead(context.instance)
    return dg.SkipReason(f"ended {', '.join(ended)}" if ended else "no run has lost its process")
