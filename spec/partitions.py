"""How an export is cut into windows, and when it runs: `partitions:` and `schedule:`. The arithmetic is in
assets/windows.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator

from spec.base import Model, Zone, like

Chunk = Annotated[int, Field(ge=1, le=1000, description="windows a run of a backfill")]


class CronEvery(Model):
    """Windows between the instants of a cron expression."""

    cron: Annotated[str, like(r"^\S+( \S+){4}$", "0 6,18 * * *: five fields of cron")]


class Partitions(Model):
    """A partition key names one window of the grid; the first window is the first that begins at `start` or after."""

    every: Literal["hour", "day", "week", "month"] | CronEvery
    start: Annotated[str, Field(description="a date such as 2024-01-01, or a local date and time")]
    timezone: Zone = "UTC"
    chunk: Chunk = 60

    @field_validator("start")
    @classmethod
    def _is_date(cls, text: str) -> str:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            message = f"{text!r} is not a date; write it as 2024-01-31 or 2024-01-31T14:00"
            raise ValueError(message) from None
        if moment.tzinfo:
            message = f"{text!r} carries an offset; `start` is local time in `timezone`"
            raise ValueError(message)
        return text

    @property
    def first(self) -> datetime:
        """`start` as naive local time."""
        return datetime.fromisoformat(self.start)

    @property
    def cadence(self) -> str:
        """`hour`, `day`, `week`, `month` or the cron expression."""
        return self.every.cron if isinstance(self.every, CronEvery) else self.every


class Schedule(Model):
    """Once a day at a time of the schedule's own zone (UTC unless said, whatever the zone of the windows)."""

    daily: Annotated[str, like(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "06:00: hours and minutes, in quotes")]
    timezone: Zone = "UTC"
