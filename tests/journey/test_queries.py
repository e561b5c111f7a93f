"""What users write themselves: SQL of the source with its bounds, and the two kinds of `transform:`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg.rows import TupleRow

from tests.journey.trial import Told, Trial

DAYS = ("2024-01-01", "2024-01-02")
TABLE = """
CREATE TABLE rows AS
SELECT i AS id, timestamptz '2024-01-01Z' + i * interval '8 hours' AS at, 'n' || i AS note, i / 10::numeric(8,2) AS share,
       i::numeric(8,2) AS amount, jsonb_build_object('i', i) AS doc
FROM generate_series(0, 8) AS r(i)
"""
BY_TIME = {"by": "time", "column": "at", "stamped_by": "database"}
BY_ID = {"by": "id", "column": "id", "lag": "0s"}
JOINED = "SELECT a.id, a.at, b.note FROM rows a JOIN rows b USING (id)"
FUNCTIONS = """
import polars as pl

def late(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.filter(pl.col("id") > 0).with_columns(pl.col("note").str.to_uppercase(), twice=pl.col("amount") * 2)

def broken(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.select("not_there")
"""

Session = psycopg.Connection[TupleRow]


@pytest.fixture
def rows(trial: Trial, source: Session) -> Trial:
    """A project on a table with three rows a day for three days."""
    source.execute(TABLE)
    return trial


def deliver(trial: Trial, **how: Any) -> list[list[int]]:
    """Deliver two days; the ids of each."""
    assert [(outcome.good, outcome.detail) for outcome in trial.run(*DAYS, **how)] == [(True, "")] * 2
    return [trial.column(key=key) for key in DAYS]


@pytest.mark.parametrize(
    "query",
    [
        JOINED,
        f"{JOINED} WHERE a.at >= {{low}} AND a.at < {{high}}",
        f"{JOINED} WHERE a.at > {{last_id}}",
        "WITH own AS (SELECT * FROM rows WHERE at >= {low}) SELECT * FROM own WHERE at < {high} -- ours",
    ],
)
def test_own_sql_by_time(rows: Trial, query: str) -> None:
    """A query of one's own delivers its windows' rows, with the bounds in it or without."""
    rows.declare({"sql": query, "cursor": BY_TIME})
    assert deliver(rows) == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "query",
    [
        JOINED,
        f"{JOINED} WHERE a.id > {{low}} AND a.id <= {{high}}",
        f"{JOINED} WHERE a.id <= {{high}}",
        f"{JOINED} WHERE a.id > {{$last_id}}",
    ],
)
def test_own_sql_by_id(rows: Trial, source: Session, query: str) -> None:
    """By id too: the first key's lower bound is below every id."""
    rows.declare({"sql": query, "cursor": BY_ID})
    assert [outcome.good for outcome in rows.run(DAYS[0])] == [True]
    source.execute("INSERT INTO rows SELECT i, now() FROM generate_series(9, 12) AS r(i)")
    assert [outcome.good for outcome in rows.run(DAYS[1])] == [True]
    assert [rows.column(key=key) for key in DAYS] == [list(range(9)), [9, 10, 11, 12]]


def test_own_bounds_reach_the_source(rows: Trial) -> None:
    """With the bounds in the query only the window's rows are read, each window by itself."""
    inner = f"{JOINED} WHERE a.at >= {{low}} AND a.at < {{high}} LIMIT 3"
    rows.declare({"sql": f"SELECT * FROM ({inner}) AS own", "cursor": BY_TIME})
    told = Told()
    assert deliver(rows, reporter=told) == [[0, 1, 2], [3, 4, 5]]
    assert told.rows == 6


@pytest.mark.parametrize("end", ["LIMIT 2", "OFFSET 1", "FETCH FIRST 2 ROWS ONLY"])
def test_a_limit_is_refused(rows: Trial, end: str) -> None:
    """It would leave rows of a window out for ever; packs are the way to ask for a few at a time."""
    rows.declare({"sql": f"{JOINED} WHERE a.id > {{$last_id}} {end}", "cursor": BY_ID})
    (outcome,) = rows.run(DAYS[0])
    assert (outcome.exit_code, rows.files("parquet")) == (2, [])
    assert "`batch_rows`" in outcome.detail


def test_sql_in_a_file(rows: Trial) -> None:
    """The query may stand in a file beside the declaration, and nowhere else."""
    (rows.folder / "pipelines" / "own.sql").write_text(JOINED)
    rows.declare({"sql": {"file": "own.sql"}, "cursor": BY_TIME})
    assert deliver(rows) == [[0, 1, 2], [3, 4, 5]]


def test_transform_sql(rows: Trial) -> None:
    """`transform.sql` shapes the extract of each window; decimals stay decimals, and fields choose from its result."""
    sql = "SELECT id, upper(note) AS loud, amount * 2 AS twice, doc FROM extract WHERE id % 3 > 0"
    rows.declare(
        {"table": "rows", "cursor": BY_TIME}, transform={"sql": sql}, formats=["parquet", "ndjson"],
        fields=[{"from": "id"}, {"from": "loud"}, {"from": "twice"}, {"from": "doc"}],
    )  # fmt: skip
    assert deliver(rows) == [[1, 2], [4, 5]]
    assert rows.column("loud", DAYS[0]) == ["N1", "N2"]
    assert rows.column("twice", DAYS[1]) == [Decimal("8.00"), Decimal("10.00")]
    assert '"doc":{"i": 4}' in rows.files("ndjson", DAYS[1])[0].read_text()


def test_transform_polars(rows: Trial) -> None:
    """`transform.polars` runs a function beside the declaration, from LazyFrame to LazyFrame."""
    (rows.folder / "pipelines" / "own_functions.py").write_text(FUNCTIONS)
    rows.declare({"table": "rows", "cursor": BY_TIME}, transform={"polars": "own_functions:late"})
    assert deliver(rows) == [[1, 2], [3, 4, 5]]
    assert rows.column("note", DAYS[0]) == ["N1", "N2"]
    assert rows.column("twice", DAYS[0]) == [Decimal("2.00"), Decimal("4.00")]
    kinds = {
        name: str(pq.read_schema(path).field(name).type)
        for path in rows.files("parquet", DAYS[0])
        for name in ("id", "at", "amount")
    }
    assert kinds == {"id": "int32", "at": "timestamp[us, tz=UTC]", "amount": "decimal128(8, 2)"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/passwd', columns = {'line': 'VARCHAR'}, sep = '~')",
        "SELECT * FROM glob('/etc/*')",
    ],
)
def test_a_transform_sees_no_other_file(rows: Trial, sql: str) -> None:
    """`transform.sql` cannot read a file of the machine: the window fails and nothing is delivered."""
    rows.declare({"table": "rows", "cursor": BY_TIME}, transform={"sql": sql})
    (outcome,) = rows.run(DAYS[0])
    assert (outcome.state, rows.files("parquet")) == ("failed", [])
    assert "disabled by configuration" in outcome.detail


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        ({"sql": "SELECT nothing FROM extract"}, "nothing"),
        ({"polars": "own_failures:broken"}, "not_there"),
        ({"polars": "own_failures:missing"}, "own_failures:missing"),
        ({"polars": "nowhere_at_all:late"}, "beside the declaration"),
    ],
)
def test_a_transform_that_fails(rows: Trial, transform: dict[str, str], words: str) -> None:
    """A transform that cannot run fails its window with the file, the line and the reason; nothing is delivered."""
    (rows.folder / "pipelines" / "own_failures.py").write_text(FUNCTIONS)
    rows.declare({"table": "rows", "cursor": BY_TIME}, transform=transform)
    (outcome,) = rows.run(DAYS[0])
    assert (outcome.exit_code, outcome.state, rows.files("parquet")) == (2, "failed", [])
    assert words in outcome.detail
    assert "rows.yaml:" in outcome.detail
