"""What is SQLite's own: types that promise nothing, times that are texts, one writer at a time, names that turn to text."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from resources.databases.base import Query
from resources.databases.sqlite import SQLite
from resources.databases.sqlite_types import MICROSECONDS
from resources.databases.sqlite_types import UTC as INSTANT
from spec.errors import ConnectorError, RowsRefused
from tests.resources.databases.reading import column, query, relation, rows, table
from tests.resources.databases.subjects import SQLiteSubject

STAMP = datetime(2026, 3, 29, 1, 30, 0, 500000)  # noqa: DTZ001  (SQLite keeps no zone)
TYPES: list[tuple[str, Any, pa.DataType, Any]] = [
    ("INTEGER", -(2**63), pa.int64(), -(2**63)),
    ("UNSIGNED BIG INT", 2**63 - 1, pa.int64(), 2**63 - 1),
    ("TINYINT(1)", 2, pa.int64(), 2),
    ("REAL", 3, pa.float64(), 3.0),
    ("FLOAT", float("-inf"), pa.float64(), float("-inf")),
    ("NVARCHAR(10)", 7, pa.string(), "7"),
    ("CLOB", "", pa.string(), ""),
    ("BLOB", b"", pa.binary(), b""),
    ("BOOL", 1, pa.bool_(), True),
    ("DECIMAL(12,2)", "1.10", pa.decimal128(12, 2), Decimal("1.10")),
    ("NUMERIC(38, 10)", "0.1234567891", pa.decimal128(38, 10), Decimal("0.1234567891")),
    ("DECIMAL(20)", 2**63 - 1, pa.decimal128(20, 0), Decimal(2**63 - 1)),
    ("NUMERIC", "0.1", pa.string(), "0.1"),
    ("DECIMAL(60,2)", 5, pa.string(), "5"),
    ("", "text", pa.string(), "text"),
    ("", 5, pa.string(), "5"),
    ("", 0.1 + 0.2, pa.string(), "0.30000000000000004"),
    ("", b"\x00\xff", pa.string(), "X'00FF'"),
    ("UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", pa.string(), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("JSON", '{"b": 1.10}', pa.string(), '{"b": 1.10}'),
    ("DATE", "0001-01-01", pa.date32(), date(1, 1, 1)),
    ("TIME", "23:59", pa.time64("us"), time(23, 59)),
    ("DATETIME", "2026-03-29T01:30:00.5", MICROSECONDS, STAMP),
    ("datetime(6)", "2026-03-29 01:30:00.500000", MICROSECONDS, STAMP),
    ("TIMESTAMP WITHOUT TIME ZONE", "2026-03-29", MICROSECONDS, STAMP.replace(hour=0, minute=0, microsecond=0)),
    ("TIMESTAMP WITH TIME ZONE", "2026-03-29T03:30:00.5+02:00", INSTANT, STAMP.replace(tzinfo=UTC)),
    ("timestamptz", "2026-03-29 01:30:00.5Z", INSTANT, STAMP.replace(tzinfo=UTC)),
]
REFUSED: list[tuple[str, Any]] = [
    ("INTEGER", "abc"),
    ("INTEGER", 1.5),
    ("INTEGER", 2.0**63),
    ("INTEGER", b"1"),
    ("REAL", "abc"),
    ("TEXT", b"text"),
    ("BLOB", "text"),
    ("BOOLEAN", 2),
    ("BOOLEAN", "true"),
    ("JSON", b"{}"),
    ("DECIMAL(12,2)", 0.1 + 0.2),
    ("DECIMAL(12,2)", "1.234"),
    ("DECIMAL(4,2)", 12345),
    ("DECIMAL(12,2)", "twelve"),
    ("DECIMAL(12,2)", float("inf")),
    ("DATE", "2026-02-30"),
    ("DATE", "2026-01-01 00:00:00"),
    ("DATE", "20260101"),
    ("DATETIME", 1_774_747_800),
    ("DATETIME", 2_461_128.5),
    ("DATETIME", "2026-03-29 01:30:00.1234567"),
    ("DATETIME", "2026-03-29 01:30:00Z"),
    ("DATETIME", "2026-03-29 25:00"),
    ("TIMESTAMPTZ", "2026-03-29 01:30:00"),
    ("TIME", "24:00"),
]
SPELLINGS = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


@pytest.mark.parametrize(("kind", "value", "arrow", "wanted"), TYPES, ids=[f"{each[0]} {each[1]}" for each in TYPES])
def test_types(lite: SQLiteSubject, kind: str, value: object, arrow: pa.DataType, wanted: object) -> None:
    """Every declared type arrives exactly, as itself or as text of what is stored."""
    lite.run(f"CREATE TABLE t (v {kind})")
    lite.run("INSERT INTO t VALUES (?)", [[value], [None]])
    found = table(lite.database, "t")
    assert found.schema.field("v").type == arrow
    assert found.column("v").to_pylist() == [wanted, None]


@pytest.mark.parametrize(("kind", "value"), REFUSED, ids=[f"{kind} {value}" for kind, value in REFUSED])
def test_refusals(lite: SQLiteSubject, kind: str, value: object) -> None:
    """What is not of its column's declared type is refused by name, and delivered as text on request."""
    lite.run(f"CREATE TABLE t (odd {kind})")
    lite.run("INSERT INTO t VALUES (?)", [[value]])
    with pytest.raises(RowsRefused, match=r"'odd'.*as_text"):
        rows(lite.database, "t")
    spelled = f"X'{value.hex().upper()}'" if isinstance(value, bytes) else str(value)
    assert rows(lite.database, "t", as_text=frozenset({"odd"})) == [{"odd": spelled}]


def test_text_that_is_not_utf8(lite: SQLiteSubject) -> None:
    """Broken text is refused by its column's name, and its bytes are not shown."""
    lite.run("CREATE TABLE t (odd text)")
    lite.run("INSERT INTO t VALUES (CAST(X'68FF' AS TEXT))")
    with pytest.raises(RowsRefused, match=r"column 'odd'.*not UTF-8") as refused:
        rows(lite.database, "t")
    assert "\\xff" not in str(refused.value)


def test_expressions(lite: SQLiteSubject) -> None:
    """A query's columns keep the types of the table's; casts have that of the cast, other expressions none: text."""
    lite.run("CREATE TABLE t (at DATETIME, price DECIMAL(10,2))")
    lite.run("INSERT INTO t VALUES ('2026-01-01', 1.5)")
    text = "(SELECT at, price AS p, count(*) AS n, CAST(count(*) AS INTEGER) AS c, price * 2 AS d FROM t) AS q"
    assert rows(lite.database, text) == [
        {"at": datetime(2026, 1, 1), "p": Decimal("1.50"), "n": "1", "c": 1, "d": "3.0"}  # noqa: DTZ001
    ]


def test_two_columns_of_one_name(lite: SQLiteSubject) -> None:
    """SQLite renames the second by itself; here it is refused."""
    with pytest.raises(ConnectorError, match="more than one column named 'a'"):
        query(lite.database, "(SELECT 1 AS a, 2 AS a) AS q")


def test_generated_columns_and_what_is_never_null(lite: SQLiteSubject) -> None:
    """Generated columns are read; NOT NULL and a row's own number are known, a text key may be NULL."""
    lite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT NOT NULL, b INT GENERATED ALWAYS AS (a * 2))")
    lite.run("INSERT INTO t VALUES (1, 4)")
    assert rows(lite.database, "t") == [{"id": 1, "a": 4, "b": 8}]
    assert [each.nullable for each in query(lite.database, "t").columns] == [False, False, True]
    lite.run("CREATE TABLE k (id TEXT PRIMARY KEY)")
    assert query(lite.database, "k").columns[0].nullable


def test_a_missing_name_is_no_text(lite: SQLiteSubject) -> None:
    """A column that is gone is an error, where plain SQLite answers with the column's name."""
    lite.run("CREATE TABLE t (amount INT)")
    lite.run("INSERT INTO t VALUES (1)")
    asked = query(lite.database, "t")
    lite.run("ALTER TABLE t RENAME COLUMN amount TO total")
    with lite.database.snapshot() as snapshot, pytest.raises(ConnectorError, match="no such column: amount"):
        next(snapshot.read(asked))
    with closing(sqlite3.connect(lite.path)) as connection:
        assert connection.execute('SELECT "amount" FROM t').fetchall() == [("amount",)]


def stamps(lite: SQLiteSubject, kind: str, texts: list[str]) -> None:
    """A table of stamps, numbered, with an index."""
    lite.run(f"CREATE TABLE IF NOT EXISTS s (id INTEGER PRIMARY KEY, at {kind})")
    lite.run("CREATE INDEX IF NOT EXISTS s_at ON s (at)")
    lite.run("DELETE FROM s")
    if texts:
        lite.run("INSERT INTO s (at) VALUES (?)", [[text] for text in texts])


def inside(low: str, high: str, kind: str = "timestamp") -> list[exp.Expr]:
    """The conditions of a window, as every export has them."""
    edges = [exp.cast(exp.Literal.string(edge), kind) for edge in (low, high)]
    return [exp.GTE(this=column("at"), expression=edges[0]), exp.LT(this=column("at"), expression=edges[1])]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 3)),  # noqa: DTZ001
            st.sampled_from(SPELLINGS),
        ),
        min_size=1,
    ),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 3)),  # noqa: DTZ001
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 3)),  # noqa: DTZ001
)
def test_windows_go_by_the_moment(
    lite: SQLiteSubject, given_stamps: list[tuple[datetime, str]], one: datetime, two: datetime
) -> None:
    """However stamps are spelled, a window has the rows of its moments, no other and each once."""
    texts = [moment.strftime(spelling) for moment, spelling in given_stamps]
    stamps(lite, "datetime", texts)
    low, high = sorted((one, two))
    wanted = [n for n, text in enumerate(texts, 1) if low <= datetime.fromisoformat(text) < high]
    found = rows(lite.database, "s", *inside(low.isoformat(sep=" "), high.isoformat(sep=" ")))
    assert [row["id"] for row in found] == wanted


def test_windows_of_instants(lite: SQLiteSubject) -> None:
    """Offsets count: the same instant in three spellings is in the same window."""
    texts = ["2026-01-02T00:30:00+01:00", "2026-01-01 23:30:00Z", "2026-01-01T09:30-14:00", "2026-01-02 00:00:00Z"]
    stamps(lite, "timestamptz", texts)
    found = rows(lite.database, "s", *inside("2026-01-01 23:00:00+00:00", "2026-01-02 00:00:00+00:00", "timestamptz"))
    assert [row["id"] for row in found] == [1, 2, 3]


def test_the_control_of_windows_as_text(lite: SQLiteSubject) -> None:
    """The control: compared as text, a row of 03:00 is in no hour of its day; as a cast, the bound is a year."""
    stamps(lite, "datetime", ["2026-01-01T03:00:00"])
    with closing(sqlite3.connect(lite.path)) as connection:
        hour = "SELECT count(*) FROM s WHERE at >= '2026-01-01 03:00:00' AND at < '2026-01-01 04:00:00'"
        assert connection.execute(hour).fetchone() == (0,)
        assert connection.execute("SELECT CAST('2026-01-01' AS TIMESTAMP)").fetchone() == (2026,)
    assert len(rows(lite.database, "s", *inside("2026-01-01 03:00:00", "2026-01-01 04:00:00"))) == 1


@pytest.mark.parametrize("odd", [1_774_747_800, "01/02/2026", "", b"2026-01-01"])
def test_a_stamp_that_is_none_stops_every_window(lite: SQLiteSubject, odd: object) -> None:
    """A row that could fall into no window is refused in any, not passed over; counting does the same."""
    stamps(lite, "datetime", ["2026-01-01 00:00:00"])
    lite.run("INSERT INTO s (at) VALUES (?)", [[odd]])
    asked = query(lite.database, "s", *inside("2026-05-01 00:00:00", "2026-06-01 00:00:00"))
    with lite.database.snapshot() as snapshot:
        with pytest.raises(RowsRefused, match="column 'at'"):
            list(snapshot.read(asked))
        with pytest.raises(RowsRefused, match="column 'at'"):
            snapshot.count(asked)


def test_windows_use_the_index(lite: SQLiteSubject) -> None:
    """The rows of a window are found by the index of the cursor."""
    from resources.databases.sqlite import _statement

    stamps(lite, "datetime", [])
    statement = _statement(query(lite.database, "s", *inside("2026-05-01 00:00:00", "2026-06-01 00:00:00")))
    with closing(lite.database._connect()) as connection:  # type: ignore[attr-defined]
        plan = " ".join(str(row) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
    assert "INDEX s_at (at>? AND at<?)" in plan


def test_bounds_inside_a_query(lite: SQLiteSubject) -> None:
    """`{low}` and `{high}` of a declared query compare moments too, on either side and in BETWEEN."""
    stamps(lite, "datetime", ["2026-01-01T03:00:00", "2026-01-01 03:30", "2026-01-01 04:00:00"])
    low, high = "CAST('2026-01-01 03:00:00' AS TIMESTAMP)", "CAST('2026-01-01 04:00:00' AS TIMESTAMP)"
    for where, wanted in ((f"at >= {low} AND {high} > at", 2), (f"s.at BETWEEN {low} AND {high}", 3)):
        assert len(rows(lite.database, f"(SELECT id, at FROM s WHERE {where}) AS q")) == wanted
    lite.run("INSERT INTO s (at) VALUES ('soon')")
    with pytest.raises(RowsRefused, match="ISO 8601"):
        rows(lite.database, f"(SELECT id FROM s WHERE at >= {low}) AS q")


def test_order_and_limit_of_moments(lite: SQLiteSubject) -> None:
    """Rows are ordered by the moment, not by its spelling."""
    stamps(lite, "datetime", ["2026-01-01T03:00:00", "2026-01-01 04:00:00", "2026-01-01 02:00:00"])
    found = query(lite.database, "s")
    asked = Query(found.relation, found.columns, order=("at",), limit=2)
    with lite.database.snapshot() as snapshot:
        assert [row["id"] for batch in snapshot.read(asked) for row in batch.to_pylist()] == [3, 1]


def test_newest_is_a_number(lite: SQLiteSubject) -> None:
    """A text in a column of ids stands above every number, and would hide all that follow: it is refused."""
    lite.run("CREATE TABLE t (id INT)")
    lite.run("INSERT INTO t VALUES (5)")
    assert lite.database.newest(relation(lite.database, "t"), "id") == 5
    lite.run("INSERT INTO t VALUES ('x9')")
    with pytest.raises(RowsRefused, match="'id'"):
        lite.database.newest(relation(lite.database, "t"), "id")


def test_sequential(lite: SQLiteSubject) -> None:
    """Only AUTOINCREMENT never hands out an id twice."""
    lite.run("CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, n INT)")
    lite.run("CREATE TABLE b (id INTEGER PRIMARY KEY)")
    asked = [("a", "id"), ("a", "n"), ("b", "id"), ("(SELECT id FROM a) AS q", "id")]
    assert [lite.database.sequential(relation(lite.database, text), name) for text, name in asked] == [
        True, False, False, False,
    ]  # fmt: skip


def test_why_it_is_blind(lite: SQLiteSubject) -> None:
    """A writer may stamp a row, stay open while a snapshot is read, and commit afterwards: the gate would lose it."""
    stamps(lite, "datetime", [])
    with closing(sqlite3.connect(lite.path, isolation_level=None)) as writer:
        writer.execute("BEGIN")
        writer.execute("INSERT INTO s (at) VALUES (CURRENT_TIMESTAMP)")
        before = lite.database.activity()
        assert rows(lite.database, "s") == []
        writer.execute("COMMIT")
    [late] = rows(lite.database, "s")
    assert late["at"].replace(tzinfo=UTC) <= before.clock
    assert before.blind


def test_a_file_that_is_being_committed(lite: SQLiteSubject) -> None:
    """Without WAL a writer that commits keeps readers out: an error that may be retried, after the declared wait."""
    lite.run("PRAGMA journal_mode = DELETE")
    lite.run("CREATE TABLE t (i INT)")
    database = SQLite(path=str(lite.path), busy_timeout="0s")
    with closing(sqlite3.connect(lite.path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConnectorError, match="busy_timeout") as busy, database.snapshot():
            pass
        writer.execute("COMMIT")
    assert busy.value.retriable
    with database.snapshot():
        pass


def test_nothing_can_be_written_or_reached(lite: SQLiteSubject) -> None:
    """The file is read-only to every query, and no other file can be attached."""
    lite.run("CREATE TABLE t (i INT)")
    with closing(lite.database._connect()) as connection:  # type: ignore[attr-defined]
        for statement in ("DELETE FROM t", "DROP TABLE t", "ATTACH ':memory:' AS other"):
            with pytest.raises(sqlite3.OperationalError):
                connection.execute(statement)


def test_odd_paths_and_an_empty_file(lite: SQLiteSubject) -> None:
    """A path is a path, whatever a URI would make of it; a file without a table is a problem, said in a sentence."""
    odd = lite.path.with_name("a%20b?mode=rwc#c.sqlite")
    odd.touch()
    [problem] = SQLite(path=str(odd)).check()
    assert "has no table" in problem
    assert not lite.path.with_name("a b").exists()


def test_large_rows_come_in_small_batches(lite: SQLiteSubject) -> None:
    """Memory is bounded by bytes, not by rows."""
    lite.run("CREATE TABLE t (v BLOB)")
    lite.run("INSERT INTO t VALUES (?)", [[os.urandom(200_000)] for _ in range(300)])
    with lite.database.snapshot() as snapshot:
        sizes = [batch.nbytes for batch in snapshot.read(query(lite.database, "t"))]
    assert sum(sizes) > 60_000_000
    assert max(sizes) < 20_000_000
