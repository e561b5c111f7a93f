"""A source that changes between two windows: what stops, what passes, and what a person may accept."""

from __future__ import annotations

from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg.rows import TupleRow

from tests.journey.trial import Trial

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
TABLE = """
CREATE TABLE rows AS
SELECT i AS id, timestamptz '2024-01-01Z' + i * interval '8 hours' AS at, 'n' || i AS note, i::numeric(8,2) AS amount, i AS spare
FROM generate_series(0, 8) AS r(i)
"""
LIST = [{"from": "id"}, {"from": "note"}, {"from": "amount", "to": "total"}]
RENAMED = "ALTER TABLE rows RENAME note TO remark"
RETYPED = "ALTER TABLE rows ALTER amount TYPE numeric(10,3)"
ADDED = "ALTER TABLE rows ADD extra text DEFAULT 'e'"
SPARE_GONE = "ALTER TABLE rows DROP spare"
SPARE_RETYPED = "ALTER TABLE rows ALTER spare TYPE text"
CURSOR_RETYPED = "ALTER TABLE rows ALTER at TYPE timestamptz(3)"

Session = psycopg.Connection[TupleRow]


@pytest.fixture
def rows(trial: Trial, source: Session) -> Trial:
    """A project on a table with three rows a day for three days."""
    source.execute(TABLE)
    return trial


def declare(trial: Trial, fields: Any) -> None:
    """Declare the export by time with its fields."""
    cursor = {"by": "time", "column": "at", "stamped_by": "database"}
    trial.declare({"table": "rows", "cursor": cursor}, fields=fields)


def names(trial: Trial, key: str) -> list[str]:
    """The columns delivered for a window."""
    (path,) = trial.files("parquet", key)
    return list(pq.read_schema(path).names)


@pytest.mark.parametrize(
    ("fields", "change", "named"),
    [
        ("all", RENAMED, "'note' (text) is gone"),
        ("all", RETYPED, "'amount' was numeric(8,2) and is numeric(10,3)"),
        (LIST, RETYPED, "'amount' was numeric(8,2) and is numeric(10,3)"),
        (LIST, CURSOR_RETYPED, "'at' was timestamp with time zone and is timestamp(3) with time zone"),
    ],
)
def test_a_change_stops_the_export(rows: Trial, source: Session, fields: Any, change: str, named: str) -> None:
    """A column gone or retyped since the last window stops the next one by name; accepted, the export goes on."""
    declare(rows, fields)
    assert [outcome.good for outcome in rows.run(DAYS[0])] == [True]
    source.execute(change.encode())
    (outcome,) = rows.run(DAYS[1])
    assert (outcome.exit_code, outcome.state, rows.files("parquet", DAYS[1])) == (1, "failed", [])
    for words in (named, DAYS[0], "--accept-columns", "rows.yaml:"):
        assert words in outcome.detail
    assert [outcome.good for outcome in rows.run(DAYS[1], accept_columns=True)] == [True]
    assert [outcome.good for outcome in rows.run(DAYS[2])] == [True]
    assert rows.column() == list(range(9))


def test_a_listed_column_is_gone(rows: Trial, source: Session) -> None:
    """A listed column that is gone is an error of the declaration, with its line, that nobody can accept away."""
    declare(rows, LIST)
    rows.run(DAYS[0])
    source.execute(RENAMED)
    (outcome,) = rows.run(DAYS[1], accept_columns=True)
    assert (outcome.exit_code, rows.files("parquet", DAYS[1])) == (2, [])
    for words in ("'note'", "remark", "'rows'", "rows.yaml:"):
        assert words in outcome.detail


@pytest.mark.parametrize("change", [ADDED, SPARE_GONE, SPARE_RETYPED])
def test_what_is_not_listed_may_change(rows: Trial, source: Session, change: str) -> None:
    """With a list of fields, columns that are not in it may come, go and change, and are not delivered."""
    declare(rows, LIST)
    rows.run(DAYS[0])
    source.execute(change.encode())
    assert [outcome.good for outcome in rows.run(DAYS[1])] == [True]
    assert names(rows, DAYS[1]) == ["id", "note", "total"]


def test_an_added_column_of_all(rows: Trial, source: Session) -> None:
    """With `fields: all` a new column is delivered from the next window on."""
    declare(rows, "all")
    rows.run(DAYS[0])
    source.execute(ADDED)
    assert [outcome.good for outcome in rows.run(DAYS[1])] == [True]
    assert [names(rows, key)[5:] for key in DAYS[:2]] == [[], ["extra"]]


def test_fields_may_be_taken_off_the_list(rows: Trial) -> None:
    """A declaration that lists less than before is no change of the source."""
    declare(rows, LIST)
    rows.run(DAYS[0])
    declare(rows, LIST[:2])
    assert [outcome.good for outcome in rows.run(DAYS[1])] == [True]
    assert names(rows, DAYS[1]) == ["id", "note"]
