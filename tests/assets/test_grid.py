"""The keys of a grid: equal to those of Dagster's own partitions, refused with a way out, and quick to list."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest

from assets.windows import Grid
from spec.errors import DeclarationError

PLACES: Final = [
    ("America/New_York", 2025), ("Europe/Paris", 2025), ("America/Sao_Paulo", 2018), ("America/Havana", 2025),
    ("Asia/Kathmandu", 2025), ("UTC", 2024), ("Australia/Adelaide", 2025), ("Europe/London", 2024),
    ("Europe/Dublin", 2026), ("Africa/Casablanca", 2026), ("Asia/Beirut", 2026), ("Africa/Cairo", 2026),
]  # fmt: skip
CRONS: Final = ["*/30 * * * *", "30 2 * * *", "15,45 2 * * *", "30 1 * * *", "0 6,18 * * 1-5", "0 */6 * * *",
                "30 0,12 * * *", "0 0 L * *", "15 4 1,15 * *", "0 9 * * 1#1"]  # fmt: skip


def dagster_partitions(every: str, start: date, zone: str) -> Any:
    """Dagster's own definition of the same grid."""
    import dagster as dg

    text = start.isoformat()
    plain: dict[str, Any] = {
        "hour": lambda: dg.HourlyPartitionsDefinition(start_date=f"{text}-00:00", timezone=zone),
        "day": lambda: dg.DailyPartitionsDefinition(start_date=text, timezone=zone),
        "week": lambda: dg.WeeklyPartitionsDefinition(start_date=text, timezone=zone, day_offset=1),
        "month": lambda: dg.MonthlyPartitionsDefinition(start_date=text, timezone=zone),
    }
    cron: dict[str, Any] = {"start": f"{text}-00:00", "fmt": "%Y-%m-%d-%H:%M", "cron_schedule": every, "timezone": zone}
    return plain[every]() if every in plain else dg.TimeWindowPartitionsDefinition(**cron)


@pytest.mark.parametrize(("zone", "year"), PLACES)
@pytest.mark.parametrize("every", ["hour", "day", "week", "month"])
def test_keys_and_windows_are_those_of_dagster(every: str, zone: str, year: int) -> None:
    """A key in the UI is a key here, and both mean the same instants."""
    start, until = date(year, 1, 3), datetime(year + 1, 4, 20, tzinfo=UTC)
    grid, theirs = Grid(every, start, zone), dagster_partitions(every, start, zone)
    keys = grid.keys(until)
    assert keys == list(theirs.get_partition_keys(current_time=until))
    for key in keys[::29] if every == "hour" else keys:
        ours, window = grid.window(key), theirs.time_window_for_partition_key(key)
        assert (ours.lo, ours.hi) == (window.start.astimezone(UTC), window.end.astimezone(UTC)), key


@pytest.mark.parametrize(("zone", "year"), PLACES[:4])
@pytest.mark.parametrize("cron", CRONS)
def test_cron_keys_are_those_of_dagster(cron: str, zone: str, year: int) -> None:
    """Whatever Dagster writes for a cron expression, also in the nights that have an odd length, is a key here."""
    start, until = date(year, 2, 1), datetime(year + 1, 4, 1, tzinfo=UTC)
    keys = Grid(cron, start, zone).keys(until)
    assert keys == list(dagster_partitions(cron, start, zone).get_partition_keys(current_time=until))


@pytest.mark.parametrize("every", ["hour", "day", "week", "month", "0 6,18 * * 1-5"])
@pytest.mark.parametrize(
    "until", [datetime(2023, 12, 31, 23, 30, tzinfo=UTC), datetime(2025, 3, 30, 5, 17, tzinfo=UTC)]
)
def test_newest_is_the_last_of_the_keys(every: str, until: datetime) -> None:
    """The newest complete key is found without listing the others; before the first has ended there is none."""
    grid = Grid(every, date(2024, 1, 1), "Europe/Paris")
    keys = grid.keys(until)
    assert grid.newest(until) == (keys[-1] if keys else None)
    assert bool(keys) == (until.year == 2025)


def test_a_window_is_complete_at_its_end_and_not_before() -> None:
    """At the very instant of `hi` a key is listed, a microsecond earlier it is not."""
    grid = Grid("day", date(2025, 1, 1))
    end = datetime(2025, 1, 2, tzinfo=UTC)
    assert grid.keys(end) == ["2025-01-01"]
    assert grid.keys(end.replace(day=1, hour=23, microsecond=999999)) == []


def test_between_takes_both_ends() -> None:
    """A range of keys holds its first and its last, also where they are one, and across a year's end."""
    grid = Grid("week", date(2024, 1, 1), "Europe/Paris")
    assert grid.between("2024-12-23", "2025-01-06") == ["2024-12-23", "2024-12-30", "2025-01-06"]
    assert grid.between("2024-12-23", "2024-12-23") == ["2024-12-23"]


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (
            "2024-01-03",
            "'2024-01-03' is no partition of the grid 'week Europe/Paris'; that moment lies in '2024-01-01'",
        ),
        ("last week", "keys look like '2024-01-29', a Monday, and the first is '2024-01-01'"),
        ("2024-01-08-14:00", "that moment lies in '2024-01-08'"),
        ("9999-12-31", "'9999-12-31' is no partition"),
        ("2023-12-25", "'2023-12-25' is before the first one, '2024-01-01'"),
        ("2024-03-04", "'2024-03-04' is after '2024-02-05'"),
    ],
)
def test_a_key_off_the_grid_is_refused_with_a_way_out(first: str, says: str) -> None:
    """The message names the key, the form, an example, the first key and the window that was probably meant."""
    with pytest.raises(DeclarationError) as error:
        Grid("week", date(2024, 1, 1), "Europe/Paris").between(first, "2024-02-05")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("every", "zone", "says"),
    [
        ("fortnight", "UTC", "'fortnight' is no cadence; allowed: hour, day, week, month, or a cron expression"),
        ("0 0 30 2 *", "UTC", "never come"),
        ("* * * * * *", "UTC", "five fields"),
        ("day", "Europe/Atlantis", "'Europe/Atlantis' is no time zone"),
        ("day", "../etc/passwd", "is no time zone"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(every: str, zone: str, says: str) -> None:
    """An unknown cadence, a cron that never comes due and an unknown zone are declaration errors."""
    with pytest.raises(DeclarationError, match=says):
        Grid(every, date(2024, 1, 1), zone)


def test_the_fingerprint_is_cadence_and_zone() -> None:
    """A later start is the same grid; another zone is not."""
    assert Grid("day", date(2024, 1, 1), "Europe/Paris").fingerprint == "day Europe/Paris"
    assert Grid("day", date(2025, 1, 1), "Europe/Paris").fingerprint == "day Europe/Paris"


def test_a_grid_begins_at_the_first_label_from_its_start_on() -> None:
    """A start in the middle of a week leaves that week out, as Dagster does."""
    grid = Grid("week", date(2024, 1, 3), "Europe/Paris")
    assert grid.first == grid.window("2024-01-08")


def test_ten_years_of_hours_are_listed_in_moments() -> None:
    """87,667 keys cost processor time in the order of a second, not of a minute."""
    begun = time.process_time()
    assert len(Grid("hour", date(2015, 1, 1), "America/New_York").keys(datetime(2025, 1, 1, tzinfo=UTC))) == 87667
    assert time.process_time() - begun < 5
