"""The nights in which a clock is moved, and which of them a grid's labels fall into: pure arithmetic over the zones.

What becomes of such a label is decided in windows.py; here is only where one has to look.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from assets.cadence import DAY, cadence
from assets.windows import Grid

AHEAD = timedelta(days=3653)


def moved(zone: tzinfo, first: date, last: date) -> Iterator[date]:
    """The days from `first` to `last` on which the clock of a zone is moved."""
    day, before = first, _offset(zone, first)
    while day <= last:
        after = _offset(zone, day + DAY)
        if after != before:
            yield day
        day, before = day + DAY, after


def _offset(zone: tzinfo, day: date) -> object:
    return zone.utcoffset(datetime.combine(day, time(0)))


def touched(grid: Grid, today: date) -> list[date]:
    """The days until ten years from `today` on which a label of the grid is one that the clock skips or shows twice."""
    zone, rule, last = ZoneInfo(grid.zone), cadence(grid.every), today + AHEAD
    first = grid.first.lo.astimezone(zone).date()
    return [
        day
        for day in moved(zone, first, last)
        for label in (datetime.combine(day, at) for at, _ in rule.times)
        if any(rule.dates(day, day)) and zone.utcoffset(label) != zone.utcoffset(label.replace(fold=1))
    ]
