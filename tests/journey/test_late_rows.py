"""Rows that are committed after their window was read: found by the next run, delivered once, and not found again.

Windows here are of 2024, so the sweep looks back for years; the rule by which a recent window is chosen is the same.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from sqlglot import exp

from tests.journey.trial import EXPORT, Trial, delivery

ONE, TWO, THREE = "2024-01-01", "2024-01-02", "2024-01-03"
CURSOR = {"by": "time", "column": "at", "key": "id", "lookback": "9000d"}
IDS = {"by": "id", "column": "id", "lag": "0s", "lookback": "9000d"}
POINTS = (
    ("late.read", 1),
    ("journey.leased", 2),
    ("late.kept", 2),
    ("ledger.seal.after", 2),
    ("local.publish.renamed", 2),
    ("ledger.close.before", 2),
    ("ledger.close.after", 2),
)
KILLED = """\
import os, signal, sys
from pathlib import Path
from resources.failpoint import install
from tests.journey.trial import Trial
left, point = [int(sys.argv[3])], sys.argv[2]
def hook(name):
    left[0] -= name == point
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
install(hook)
Trial(Path(sys.argv[1])).run(sys.argv[4])
"""

Session = psycopg.Connection[TupleRow]


@pytest.fixture
def rows(source: Session) -> Session:
    """Two rows a day for three days."""
    source.execute("CREATE TABLE rows (id integer PRIMARY KEY, at timestamptz, note text)")
    source.execute(
        "INSERT INTO rows SELECT i, timestamptz '2024-01-01 00:00Z' + i * interval '12 hours' FROM generate_series(0, 5) i"
    )
    return source


def late(source: Session, number: int, at: str = "2024-01-01 06:00Z") -> None:
    """One more row of a day that was read already."""
    source.execute("INSERT INTO rows VALUES (%s, %s)", (number, at))


def manifest(trial: Trial, key: str) -> dict[str, Any]:
    """The horizon of a window's receipt."""
    found = trial.record(key).horizon
    assert found is not None
    return found


@pytest.mark.parametrize(
    "source_of",
    [{"table": "rows"}, {"sql": "SELECT * FROM rows"}, {"sql": "SELECT * FROM rows WHERE at >= {low} AND at < {high}"}],
)
def test_a_late_row_is_delivered_once(trial: Trial, rows: Session, source_of: dict[str, str]) -> None:
    """The next run delivers its window again, with it; the run after that finds nothing more."""
    trial.declare(source_of | {"cursor": CURSOR})
    trial.run(ONE)
    late(rows, 10)
    late(rows, 11)
    assert [(each.key, each.good, each.late) for each in trial.run(TWO)] == [(TWO, True, None), (ONE, True, 2)]
    assert (trial.column("id", ONE), trial.column("id", TWO)) == ([0, 1, 10, 11], [2, 3])
    assert (trial.record(ONE).generation, manifest(trial, ONE)["late"]) == (2, 2)
    assert "late" not in manifest(trial, TWO)
    assert [each.key for each in trial.run(THREE)] == [THREE]
    assert trial.column() == [0, 1, 2, 3, 4, 5, 10, 11]


def test_late_rows_of_a_correction_are_found_too(trial: Trial, rows: Session) -> None:
    """A window may be corrected more than once, each time by a generation of its own."""
    trial.declare({"table": "rows", "cursor": CURSOR})
    trial.run(ONE)
    late(rows, 10)
    trial.run(TWO)
    late(rows, 11)
    assert [(each.key, each.late) for each in trial.run(THREE)] == [(THREE, None), (ONE, 1)]
    assert (trial.record(ONE).generation, trial.column("id", ONE)) == (3, [0, 1, 10, 11])


def test_reported_only(trial: Trial, rows: Session) -> None:
    """The control: with `late: report` the row is counted and said, and stays undelivered."""
    trial.declare({"table": "rows", "cursor": CURSOR | {"late": "report"}})
    trial.run(ONE)
    late(rows, 10)
    assert [each.key for each in trial.run(TWO)] == [TWO]
    assert trial.column("id", ONE) == [0, 1]
    with trial.ledger() as ledger:
        assert [each.detail for each in ledger.events(EXPORT, ONE) if each.what == "late"] == ["1 rows"]


@pytest.mark.parametrize(("late_rows", "again"), [({}, []), ({"late": "restate"}, [ONE])])
def test_a_partner_who_takes_files_gets_no_row_twice(
    trial: Trial, rows: Session, late_rows: dict[str, str], again: list[str]
) -> None:
    """A window whose file was taken away is delivered again only where that is asked for; the late row is told."""
    taking = [delivery("parquet") | {"collects": True}]
    trial.declare({"table": "rows", "cursor": CURSOR | late_rows}, deliver=taking)
    trial.run(ONE)
    late(rows, 10)
    assert [each.key for each in trial.run(TWO)] == [TWO, *again]
    with trial.ledger() as ledger:
        assert [each.detail for each in ledger.events(EXPORT, ONE) if each.what == "late"] == ["1 rows"]


def test_what_is_not_late(trial: Trial, rows: Session) -> None:
    """A row that was changed without a new stamp, one that moved to a later day, and one that is gone."""
    trial.declare({"table": "rows", "cursor": CURSOR})
    trial.run(ONE)
    rows.execute("UPDATE rows SET note = 'new' WHERE id = 0")
    rows.execute("UPDATE rows SET at = '2024-01-02 01:00Z' WHERE id = 1")
    assert [each.key for each in trial.run(TWO)] == [TWO]
    rows.execute("DELETE FROM rows WHERE id = 2")
    assert [each.key for each in trial.run(THREE)] == [THREE]
    assert (trial.column("id", ONE), trial.column("id", TWO)) == ([0, 1], [1, 2, 3])


def test_late_ids(trial: Trial, rows: Session) -> None:
    """By id, a number below the highest that was read."""
    trial.declare({"table": "rows", "cursor": IDS})
    rows.execute("DELETE FROM rows WHERE id = 3")
    trial.run(ONE)
    rows.execute("INSERT INTO rows VALUES (3, now()), (9, now())")
    assert [(each.key, each.late) for each in trial.run(TWO)] == [(TWO, None), (ONE, 1)]
    assert (trial.column("id", ONE), trial.column("id", TWO)) == ([0, 1, 2, 3, 4, 5], [9])


@pytest.mark.parametrize("stamped_by", ["database", "application"])
def test_behind_a_gate_nothing_is_kept(trial: Trial, rows: Session, stamped_by: str) -> None:
    """Where the gate held, no row can be late; keys are kept, and windows looked at, only where `late` is declared."""
    cursor = CURSOR | {"stamped_by": stamped_by}
    trial.declare({"table": "rows", "cursor": cursor})
    trial.run(ONE)
    assert (trial.record(ONE).seen is None) == (stamped_by == "database")
    trial.declare({"table": "rows", "cursor": cursor | {"late": "restate"}})
    trial.run(ONE, again="once more")
    assert trial.record(ONE).seen


def test_a_backfill_of_old_days_keeps_and_looks_at_nothing(trial: Trial, rows: Session) -> None:
    """Windows that ended longer ago than `lookback` are left alone."""
    trial.declare({"table": "rows", "cursor": CURSOR | {"lookback": "2d"}})
    trial.run(ONE)
    late(rows, 10)
    assert [each.key for each in trial.run(TWO)] == [TWO]
    assert trial.record(ONE).seen is None


@pytest.mark.parametrize(("point", "nth"), POINTS)
def test_a_killed_correction_is_ended_by_the_next_run(trial: Trial, rows: Session, point: str, nth: int) -> None:
    """Killed anywhere in the correction: the next run brings it to its end, once."""
    trial.declare({"table": "rows", "cursor": CURSOR})
    trial.run(ONE)
    late(rows, 10)
    command = [sys.executable, "-c", KILLED, str(trial.folder), point, str(nth), TWO]
    killed = subprocess.run(command, env=os.environ, cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert all(each.good for each in trial.run(THREE))
    assert trial.column() == [0, 1, 2, 3, 4, 5, 10]
    assert trial.record(ONE).generation == 2
    assert json.dumps(manifest(trial, ONE)["late"]) == "1"


def test_only_what_was_written_since(trial: Trial, rows: Session) -> None:
    """PostgreSQL narrows the sweep of a table to row versions younger than the reading."""
    trial.declare({"table": "rows", "cursor": CURSOR})
    database, table = trial.plan().database, exp.table_("rows", quoted=True)
    position = database.activity().position
    late(rows, 10)
    rows.execute("UPDATE rows SET note = 'x' WHERE id = 4")
    condition = database.since(table, position)
    assert condition is not None
    found = rows.execute(f"SELECT id FROM rows WHERE {condition.sql('postgres')} ORDER BY id".encode()).fetchall()
    assert found == [(4,), (10,)]
    rows.execute("CREATE VIEW seen AS SELECT * FROM rows")
    assert database.since(exp.table_("seen", quoted=True), position) is None
