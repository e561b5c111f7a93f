"""Dagster's view of a grid: the same keys, and the proof that they are. What a key means is computed in windows.py."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import dagster as dg

from assets.nights import touched
from assets.plan import grid_of
from assets.windows import Grid
from spec.errors import DeclarationError
from spec.export import Export
from spec.reading import Declared

FORMATS = {"day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m-%d"}
CRONS = {"hour": "0 * * * *", "day": "0 0 * * *", "week": "0 0 * * 1", "month": "0 0 1 * *"}
NEAR = timedelta(days=2)


def partitions_of(export: Export) -> dg.TimeWindowPartitionsDefinition:
    """The partitions of an export's assets."""
    return _partitions(grid_of(export))


def _partitions(grid: Grid) -> dg.TimeWindowPartitionsDefinition:
    form = FORMATS.get(grid.every, "%Y-%m-%d-%H:%M")
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule=CRONS.get(grid.every, grid.every), start=grid.start.strftime(form), fmt=form, timezone=grid.zone
    )


def refuse_other_keys(declared: Declared) -> None:
    """Raise DeclarationError where Dagster would show other windows than there are.

    Dagster 1.13 leaves out, or names by other times, some that begin in the hours which a clock skips or shows twice: a
    backfill from the UI would pass them over. Looked at is every such night from the start to ten years from now.
    """
    grid = grid_of(declared.export)
    if odd := _odd(grid, datetime.now(UTC).date()):
        raise DeclarationError(
            f"{declared.where('partitions', 'every')}: on {odd[0]} the clock of {grid.zone} is moved, and Dagster does "
            f"not show the windows that there are then ({', '.join(odd[1][:3])}); choose times that no clock skips, or "
            "`timezone: UTC`"
        )


@lru_cache(maxsize=64)
def _odd(grid: Grid, today: date) -> tuple[date, list[str]] | None:
    """The first night in which the keys differ, and those that only one side has."""
    for day in touched(grid, today):
        around = max(datetime.combine(day, time(0)) - NEAR, datetime.combine(grid.start, time(0)))
        near = Grid(grid.every, around, grid.zone)
        until = near.window(near.holding(near.first.lo + 2 * NEAR)).hi
        ours, theirs = near.keys(until), _partitions(near).get_partition_keys(current_time=until)
        if odd := sorted({*ours} ^ {*theirs}):
            return day, odd
    return None
