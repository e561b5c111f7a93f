"""One schedule an export: it asks for the newest window that has ended. The switch in the UI turns it on and off."""

from __future__ import annotations

import dagster as dg

from assets.plan import grid_of
from spec.reading import Declared


def schedule_of(declared: Declared, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition | None:
    """The schedule that an export declares, or None. Its zone is the schedule's own, not that of the windows."""
    export = declared.export
    if export.schedule is None:
        return None
    hour, minute = export.schedule.daily.split(":")
    grid = grid_of(export)

    def run(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        key = grid.newest(context.scheduled_execution_time)
        if key is None:
            return dg.SkipReason(
                f"no window of {export.export} has ended yet; the first begins at {export.partitions.start}"
            )
        return dg.RunRequest(
            run_key=f"{export.export} {key} {context.scheduled_execution_time.isoformat()}", partition_key=key
        )

    return dg.ScheduleDefinition(
        name=f"{export.export}_daily", job=job, cron_schedule=f"{int(minute)} {int(hour)} * * *", execution_fn=run,
        execution_timezone=export.schedule.timezone,
        description=f"Delivers the newest window of {export.export} daily at "
        f"{export.schedule.daily} {export.schedule.timezone}.",
        default_status=dg.DefaultScheduleStatus.RUNNING if export.active else dg.DefaultScheduleStatus.STOPPED,
    )  # fmt: skip
