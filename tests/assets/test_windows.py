"""Windows against the clock of the zone and against the days that are known to be odd. Keys are in test_grid.py.

OUTGATE_PROVE=1 walks every zone of the database through all its transitions from 1970 to 2037; else they are sampled.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.windows import Grid, Window, instant
from spec.errors import DeclarationError

ZONES: Final = sorted(available_timezones() - {"localtime", "Factory"})
PROVE: Final = os.environ.get("OUTGATE_PROVE") == "1"
BEGIN, END = datetime(1970, 1, 2, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)
SPANS: Final = {"hour": 2 * DAY, "day": 4 * DAY, "week": 21 * DAY, "month": 93 * DAY, "*/20 * * * *": DAY}


@cache
def transitions(zone: str) -> list[datetime]:
    """The midnights in UTC before each change of the zone's offset: where anything can go wrong."""
    place = ZoneInfo(zone)
    days = [BEGIN + n * DAY for n in range((END - BEGIN).days)]
    offsets = [day.astimezone(place).utcoffset() for day in days]
    return [day for day, (before, after) in zip(days, pairwise(offsets), strict=False) if before != after] or [BEGIN]


def breaks(windows: list[Window]) -> list[str]:
    """The gaps and overlaps between neighbours, and the windows that end before they begin."""
    found = [f"{a.key} ends {a.hi}, {b.key} begins {b.lo}" for a, b in pairwise(windows) if a.hi != b.lo]
    return found + [f"{window.key} runs backwards" for window in windows if window.lo > window.hi]


def around(every: str, zone: str, moment: datetime) -> list[Window]:
    """Every window of a grid around a moment, each asked for by its key alone."""
    span = SPANS.get(every, 2 * DAY)
    start = (moment - span).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    grid = Grid(every, start, zone)
    return [grid.window(key) for key in grid.keys(moment + span + DAY)]


def naive(label: datetime, zone: str) -> Window:
    """What most code does: the label with a zone stuck on it, and a half-hour added on the wall."""
    aware = label.replace(tzinfo=ZoneInfo(zone))
    return Window(str(label), aware.astimezone(UTC), (aware + timedelta(minutes=30)).astimezone(UTC))


def histories() -> list[str]:
    """One zone of each history: many names of the database are links to another."""
    known = {
        (*transitions(zone), *(day.astimezone(ZoneInfo(zone)).utcoffset() for day in transitions(zone))): zone
        for zone in ZONES
    }
    return sorted(known.values())


moments = st.sampled_from(ZONES).flatmap(lambda zone: st.tuples(st.just(zone), st.sampled_from(transitions(zone))))


@settings(max_examples=60, deadline=None)
@given(place=moments, every=st.sampled_from(sorted(SPANS)))
def test_windows_tile_the_line(place: tuple[str, datetime], every: str) -> None:
    """Around a change of any zone's offset, windows of any cadence meet without a gap or an overlap."""
    windows = around(every, *place)
    assert len(windows) > 1
    assert breaks(windows) == []
    assert len({window.key for window in windows}) == len(windows)


@settings(max_examples=60, deadline=None)
@given(place=moments, every=st.sampled_from(sorted(SPANS)), seconds=st.integers(0, 3 * 86400))
def test_every_instant_has_one_window(place: tuple[str, datetime], every: str, seconds: int) -> None:
    """A row's window is found from its time, contains it, and is what the key says on its own."""
    moment = place[1] - DAY + timedelta(seconds=seconds)
    grid = Grid(every, date(1970, 1, 1), place[0])
    window = grid.window(grid.holding(moment))
    assert window.lo <= moment < window.hi


@settings(max_examples=100, deadline=None)
@given(place=moments, minutes=st.integers(0, 3 * 1440))
def test_a_label_is_the_first_instant_that_reaches_it(place: tuple[str, datetime], minutes: int) -> None:
    """At its instant the clock has reached a label for the first time, gap or fold."""
    zone = ZoneInfo(place[0])
    label = (place[1] - DAY + timedelta(minutes=minutes)).replace(tzinfo=None)
    at = instant(label, zone)
    before = [at - timedelta(seconds=1), *(at - timedelta(minutes=15 * n) for n in range(1, 100))]
    assert at.astimezone(zone).replace(tzinfo=None) >= label
    assert max(moment.astimezone(zone).replace(tzinfo=None) for moment in before) < label


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Apia", "America/Sao_Paulo"])
def test_control_naive_arithmetic_does_not_tile(zone: str) -> None:
    """The control: `replace(tzinfo=...)` over the same days leaves windows that overlap or run backwards."""
    found = []
    for midnight in transitions(zone):
        first = (midnight - DAY).replace(tzinfo=None)
        found += breaks([naive(first + timedelta(minutes=30 * n), zone) for n in range(144)])
    assert found


@pytest.mark.parametrize("zone", histories() if PROVE else ["Pacific/Apia"])
def test_every_zone_tiles(zone: str) -> None:
    """All transitions of a zone from 1970 to 2037 are tiled by every cadence."""
    for every in SPANS:
        assert [found for moment in transitions(zone) for found in breaks(around(every, zone, moment))] == []
    grid = Grid("day", date(1970, 1, 1), zone)
    assert breaks([grid.window(key) for key in grid.keys(END)]) == []


LENGTHS: Final = [
    ("America/New_York", "2025-03-09", 23.0),
    ("America/New_York", "2025-11-02", 25.0),
    ("Australia/Lord_Howe", "2025-04-06", 24.5),
    ("Australia/Lord_Howe", "2025-10-05", 23.5),
    ("America/Sao_Paulo", "2018-11-04", 23.0),
    ("America/Havana", "2025-11-02", 25.0),
    ("Antarctica/Troll", "2025-03-30", 22.0),
    ("Pacific/Apia", "2011-12-29", 24.0),
    ("Pacific/Apia", "2011-12-30", 0.0),
    ("Pacific/Apia", "2011-12-31", 24.0),
    ("Africa/Monrovia", "1972-01-07", 23 + 15.5 / 60),
]


@pytest.mark.parametrize(("zone", "key", "hours"), LENGTHS)
def test_odd_days_have_their_known_length(zone: str, key: str, hours: float) -> None:
    """The days that are known to be odd last as long as they did."""
    window = Grid("day", date(1970, 1, 1), zone).window(key)
    assert window.length == timedelta(hours=hours)
    assert window.empty == (hours == 0)


def test_a_day_without_a_midnight_begins_at_one() -> None:
    """Where the clock went from 23:59 to 01:00, the day begins at 01:00."""
    window = Grid("day", date(2018, 1, 1), "America/Sao_Paulo").window("2018-11-04")
    assert window.lo == datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert window.lo.astimezone(ZoneInfo("America/Sao_Paulo")).hour == 1


def test_a_repeated_hour_has_two_keys() -> None:
    """The second 01:00 of a night carries its offset, and the skipped 02:00 of another has no key."""
    grid = Grid("hour", date(2025, 11, 2), "America/New_York")
    keys = grid.keys(datetime(2025, 11, 2, 8, tzinfo=UTC))
    assert [key[11:] for key in keys] == ["00:00", "01:00", "01:00-0500", "02:00"]
    assert keys == sorted(keys)
    with pytest.raises(DeclarationError, match=r"'2025-03-09-02:00' is no partition .* lies in '2025-03-09-03:00'"):
        grid.window("2025-03-09-02:00")


def test_hours_are_full_hours_of_the_local_clock() -> None:
    """Where the clock moves by half an hour, hours begin on the new full hours at once."""
    grid = Grid("hour", date(2025, 4, 6), "Australia/Lord_Howe")
    lengths = [grid.window(key).length / timedelta(hours=1) for key in grid.keys(datetime(2025, 4, 5, 18, tzinfo=UTC))]
    assert lengths[:4] == [1.0, 1.5, 1.0, 1.0]
