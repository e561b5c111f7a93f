"""Time cursors of every kind: without a value, without a zone, without a time of day, and of types that are none.

Cursors by id are in test_ids.py; what is asked of every database is in test_rows.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from resources import failpoint
from tests.journey.trial import Trial

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
STAMPED = """
CREATE TABLE rows AS
SELECT i AS id, CASE WHEN i % 4 > 0 THEN timestamptz '2024-01-01Z' + i * interval '6 hours' END AS at
FROM generate_series(0, 11) AS r(i)
"""
# Every ten minutes of the local clock, those that it skips and repeats as well.
LOCAL = """
CREATE TABLE rows AS SELECT row_number() OVER () AS id, at
FROM generate_series(timestamp '{first}', timestamp '{last}', interval '10 minutes') AS r(at)
"""

Session = psycopg.Connection[TupleRow]


def declare(trial: Trial, *, partitions: dict[str, Any] | None = None, **cursor: Any) -> None:
    """Declare the export by time with some settings of its cursor."""
    source = {"table": "rows", "cursor": {"by": "time", "column": "at", "stamped_by": "database"} | cursor}
    trial.declare(source, partitions=partitions)


@pytest.mark.parametrize("together", [True, False])
def test_rows_without_a_cursor_stay_where_they_are_when_the_start_is_moved(
    trial: Trial, source: Session, together: bool
) -> None:
    """The window that took them keeps them, in its next generation too; the new first window does not bring them twice."""
    source.execute(STAMPED)
    declare(trial, nulls="include", partitions={"every": "day", "start": DAYS[1]})
    assert all(outcome.good for outcome in trial.run(DAYS[1]))
    declare(trial, nulls="include")
    for keys in [DAYS] if together else [(key,) for key in DAYS]:
        assert all(outcome.good for outcome in trial.run(*keys))
    everywhere = [[1, 2, 3], [0, 4, 5, 6, 7, 8], [9, 10, 11]]
    assert [trial.column(key=key) for key in DAYS] == everywhere
    for keys in [DAYS] if together else [(key,) for key in DAYS]:
        assert all(outcome.good for outcome in trial.run(*keys, again="once more"))
    assert [trial.column(key=key) for key in DAYS] == everywhere


def test_rows_without_a_cursor_that_nobody_took_come_with_the_new_first_window(trial: Trial, source: Session) -> None:
    """The old first window was read and never sealed: it has no claim on them, now or later."""
    source.execute(STAMPED)
    declare(trial, nulls="include", partitions={"every": "day", "start": DAYS[1]})
    stop_at(trial, "seal.files", DAYS[1])
    declare(trial, nulls="include")
    assert all(outcome.good for outcome in trial.run(DAYS[0]))
    assert all(outcome.good for outcome in trial.run(DAYS[1]))
    assert [trial.column(key=key) for key in DAYS[:2]] == [[0, 1, 2, 3, 4, 8], [5, 6, 7]]


def test_rows_without_a_cursor_come_once_where_the_grid_begins_with_a_day_that_never_was(
    trial: Trial, source: Session
) -> None:
    """The empty day and the one after it begin at the same instant; only one of them is the first."""
    source.execute(STAMPED)
    days = ("2011-12-30", "2011-12-31")
    declare(trial, nulls="include", partitions={"every": "day", "start": days[0], "timezone": "Pacific/Apia"})
    assert all(outcome.good for outcome in trial.run(*days))
    assert trial.column() == [0, 4, 8]


def stop_at(trial: Trial, point: str, key: str) -> None:
    """Run a window and end it there."""

    def end(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt

    failpoint.install(end)
    try:
        with pytest.raises(KeyboardInterrupt):
            trial.run(key)
    finally:
        failpoint.install(None)


@pytest.mark.parametrize("night", ["2024-03-30", "2024-10-26"])
@pytest.mark.parametrize("zone", ["Europe/Paris", "UTC", "America/New_York"])
def test_local_times_across_a_change_of_clocks(trial: Trial, source: Session, night: str, zone: str) -> None:
    """Local times of Paris, skipped and repeated ones too, are each in exactly one day of any zone."""
    evening = datetime.fromisoformat(night) + timedelta(hours=22)
    morning = evening + timedelta(hours=8)
    source.execute(LOCAL.format(first=evening, last=morning).encode())
    partitions = {"every": "day", "start": f"{evening - timedelta(days=1):%Y-%m-%d}", "timezone": zone}
    declare(trial, partitions=partitions, timezone="Europe/Paris")
    keys = trial.plan().grid.keys(morning.replace(tzinfo=UTC) + timedelta(days=2))
    assert all(outcome.good for outcome in trial.run(*keys))
    assert trial.column() == [number for (number,) in source.execute("SELECT id FROM rows ORDER BY id")]


def test_dates(trial: Trial, source: Session) -> None:
    """Rows of a date cursor belong to the day of the export's own zone, whatever its offset."""
    source.execute(
        "CREATE TABLE rows AS SELECT i AS id, date '2023-12-31' + i / 3 AS at FROM generate_series(0, 14) AS r(i)"
    )
    declare(trial, partitions={"every": "day", "start": DAYS[0], "timezone": "Pacific/Auckland"})
    assert all(outcome.good for outcome in trial.run(*DAYS))
    assert [trial.column(key=key) for key in DAYS] == [[3, 4, 5], [6, 7, 8], [9, 10, 11]]


@pytest.mark.parametrize(
    ("kind", "partitions", "words"),
    [
        ("text", None, "`by: time` needs a date or timestamp column"),
        ("bigint", None, "use `by: id`"),
        ("time", None, "`by: time` needs a date or timestamp column"),
        ("timestamp", None, "say in which zone its values are"),
        ("date", {"every": "hour", "start": DAYS[0]}, "use `every: day`"),
    ],
)
def test_cursors_that_are_none(
    trial: Trial, source: Session, kind: str, partitions: dict[str, Any] | None, words: str
) -> None:
    """A column that cannot be cut by the declared windows is refused with its name, its type and the way out."""
    source.execute(f"CREATE TABLE rows (id serial, at {kind})".encode())
    declare(trial, partitions=partitions, nulls="exclude")
    (outcome,) = trial.run(DAYS[0] if partitions is None else f"{DAYS[0]}-05:00")
    assert (outcome.exit_code, outcome.state) == (2, "failed")
    assert words in outcome.detail
    assert "rows.yaml:" in outcome.detail
