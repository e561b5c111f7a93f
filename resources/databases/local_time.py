"""Moments that a server writes down in its own local time, as instants: never later than they were.

Which view of which database speaks in local time is known to that database's catalogue.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones


def earliest(local: datetime, clock: datetime, offset: timedelta) -> datetime:
    """The earliest instant at which the wall clock of a server can have shown `local`.

    `clock` is the server's present, aware, and `offset` what it adds to UTC now. A server tells no more of its zone, so
    every zone of the world that has this offset now is asked what it had then: in the hour after a clock was set back,
    or twice, the earlier answer is the one that loses no row.
    """
    candidates = [local.replace(tzinfo=zone) for zone in _zones() if clock.astimezone(zone).utcoffset() == offset]
    return min([(local - offset).replace(tzinfo=UTC), *(each.astimezone(UTC) for each in candidates)])


@cache
def _zones() -> tuple[ZoneInfo, ...]:
    return tuple(ZoneInfo(name) for name in sorted(available_timezones()))
