"""What is DuckDB's own: its types, its refusals, the lock on its file."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from resources.databases.duckdb import DuckDB
from spec.errors import ConnectorError, RowsRefused
from tests.resources.databases.reading import query, rows, table
from tests.resources.databases.subjects import DuckDBSubject

TYPES: list[tuple[str, str, pa.DataType, Any]] = [
    (
        "DECIMAL(38,10)",
        "-9999999999999999999999999999.9999999999",
        pa.decimal128(38, 10),
        Decimal("-" + "9" * 28 + "." + "9" * 10),
    ),
    ("HUGEINT", "9" * 38, pa.decimal128(38, 0), Decimal("9" * 38)),
    ("UHUGEINT", "1", pa.decimal128(38, 0), Decimal(1)),
    ("UBIGINT", "18446744073709551615", pa.decimal128(20, 0), Decimal(2**64 - 1)),
    ("UINTEGER", "4294967295", pa.uint32(), 2**32 - 1),
    ("TINYINT", "-128", pa.int8(), -128),
    ("TIMESTAMP_S", "2026-01-01 00:00:01", pa.timestamp("us"), datetime(2026, 1, 1, 0, 0, 1)),  # noqa: DTZ001
    ("TIMESTAMP_MS", "2026-01-01 00:00:00.001", pa.timestamp("us"), datetime(2026, 1, 1, 0, 0, 0, 1000)),  # noqa: DTZ001
    ("TIMESTAMP_NS", "2026-01-01 00:00:00.000001", pa.timestamp("us"), datetime(2026, 1, 1, 0, 0, 0, 1)),  # noqa: DTZ001
    ("DATE", "0001-01-01", pa.date32(), date(1, 1, 1)),
    ("TIME", "23:59:59.999999", pa.time64("us"), time(23, 59, 59, 999999)),
    ("UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", pa.string(), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("INTERVAL", "1 day", pa.string(), "1 day"),
    ("ENUM('a', 'b c')", "b c", pa.string(), "b c"),
    ("BIT", "101", pa.string(), "101"),
    ("TIMETZ", "01:02:03+02", pa.string(), "01:02:03+02"),
    ("TIME_NS", "01:02:03.123456789", pa.string(), "01:02:03.123456789"),
    ("BIGNUM", "1" * 60, pa.string(), "1" * 60),
    ("JSON", '{"b": 1.10}', pa.string(), '{"b": 1.10}'),
    ("STRUCT(a DECIMAL(38,2), b VARCHAR)", "{'a': 1.10, 'b': x}", pa.string(), '{"a":1.10,"b":"x"}'),
    ("MAP(VARCHAR, INTEGER)", "{k=1}", pa.string(), '{"k":1}'),
    ("STRUCT(a INTEGER)[]", "[{'a': 1}]", pa.string(), '[{"a":1}]'),
    ("DECIMAL(10,2)[]", "[1.10, NULL]", pa.list_(pa.decimal128(10, 2)), [Decimal("1.10"), None]),
    ("INTEGER[3]", "[1, 2, 3]", pa.list_(pa.int32()), [1, 2, 3]),
]

REFUSED = [
    ("TIMESTAMP_NS", "2026-01-01 00:00:00.000000001", "whole number of microseconds"),
    ("TIMESTAMP_NS", "infinity", "infinite"),
    ("TIMESTAMP_S", "infinity", "infinite"),
    ("TIMESTAMP_MS", "-infinity", "infinite"),
    ("TIMESTAMP[]", "[infinity]", "infinite"),
    ("DATE", "-infinity", "infinite"),
    ("HUGEINT", "170141183460469231731687303715884105727", "Could not cast"),
]


@pytest.mark.parametrize(("kind", "text", "arrow", "value"), TYPES, ids=[kind for kind, *_ in TYPES])
def test_types(duck: DuckDBSubject, kind: str, text: str, arrow: pa.DataType, value: object) -> None:
    """Every type arrives exactly, as itself or as text; nested ones as JSON."""
    duck.run(f"CREATE TABLE t (v {kind})")
    duck.run(f"INSERT INTO t VALUES (CAST(? AS {kind})), (NULL)", [[text]])
    found = table(duck.database, "t")
    assert found.schema.field("v").type == arrow
    assert sorted(found.column("v").to_pylist(), key=str) == sorted([value, None], key=str)


def test_json_is_marked(duck: DuckDBSubject) -> None:
    """JSON and nested columns are marked, plain text and text of a nested column are not."""
    duck.run("CREATE TABLE t (j JSON, s STRUCT(a INTEGER), m MAP(VARCHAR, INTEGER), v VARCHAR, x STRUCT(a INTEGER))")
    assert [each.json for each in query(duck.database, "t", as_text=frozenset({"x"})).columns] == [True] * 3 + [
        False
    ] * 2


@pytest.mark.parametrize(("kind", "text", "found"), REFUSED, ids=[f"{kind} {text}" for kind, text, _ in REFUSED])
def test_refusals(duck: DuckDBSubject, kind: str, text: str, found: str) -> None:
    """A value that would be cut or bent is refused; as text it passes."""
    duck.run(f"CREATE TABLE t AS SELECT CAST('{text}' AS {kind}) AS odd")
    with pytest.raises(RowsRefused, match=found) as refused:
        rows(duck.database, "t")
    assert "as_text" in str(refused.value)
    assert "odd" in str(refused.value)
    assert rows(duck.database, "t", as_text=frozenset({"odd"})) == [{"odd": text}]


def test_a_value_that_fails_late(duck: DuckDBSubject) -> None:
    """A value deep in the table that does not fit is refused like one in the first batch."""
    text = "CASE WHEN i = 400000 THEN '1' || repeat('0', 38) ELSE i::varchar END"
    duck.run(f"CREATE TABLE t AS SELECT CAST({text} AS HUGEINT) AS h FROM range(500000) AS r (i)")
    with pytest.raises(RowsRefused, match="as_text"):
        rows(duck.database, "t")


def test_a_file_that_is_being_written(duck: DuckDBSubject) -> None:
    """While another process writes, the file is an error that may be retried, and afterwards it is read."""
    duck.run("CREATE TABLE t AS SELECT 1 AS id")
    program = f"import duckdb; c = duckdb.connect({str(duck.path)!r}); print('open', flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(ConnectorError, match="another process writes to it") as locked, duck.database.snapshot():
            pass
        writer.communicate("\n")
    assert locked.value.retriable
    assert rows(duck.database, "t") == [{"id": 1}]


def test_a_snapshot_keeps_writers_out(duck: DuckDBSubject) -> None:
    """While a snapshot is open no process can write: that is why nothing is ever open."""
    duck.run("CREATE TABLE t AS SELECT 1 AS id")
    command = [sys.executable, "-c", f"import duckdb; duckdb.connect({str(duck.path)!r})"]
    with duck.database.snapshot():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Conflicting lock" in done.stderr
    duck.run("INSERT INTO t VALUES (2)")


def test_two_snapshots_at_once(duck: DuckDBSubject) -> None:
    """Two readings of one file do not disturb each other."""
    duck.run("CREATE TABLE t AS SELECT i AS id FROM range(100000) AS r (i)")
    asked = query(duck.database, "t")
    with duck.database.snapshot() as first, duck.database.snapshot() as second:
        pairs = list(zip(first.read(asked), second.read(asked), strict=True))
    assert sum(left.num_rows for left, _ in pairs) == 100_000


def test_a_query_cannot_reach_other_files(duck: DuckDBSubject) -> None:
    """A declared query reads this database, not the machine's files."""
    with pytest.raises(ConnectorError, match="disabled"):
        query(duck.database, "(SELECT * FROM read_text('/etc/hostname')) AS q")


def test_an_empty_file(duck: DuckDBSubject) -> None:
    """A file without a table is a problem, said in a sentence."""
    [problem] = duck.database.check()
    assert "has no table" in problem


def test_memory_limit(duck: DuckDBSubject) -> None:
    """What needs more memory than the connector may use ends as an error that names the setting."""
    duck.run("CREATE TABLE t AS SELECT i AS id FROM range(10) AS r (i)")
    database = DuckDB(path=str(duck.path), memory_limit="10MB")
    big = "(SELECT list(i) AS v FROM range(20000000) AS r (i)) AS q"
    with pytest.raises(ConnectorError, match="memory_limit"):
        rows(database, big)


def test_the_control_of_huge_integers(duck: DuckDBSubject) -> None:
    """The control: unguarded, DuckDB hands Arrow a decimal(38,0) of 39 digits without an error."""
    duck.run("CREATE TABLE t AS SELECT CAST('170141183460469231731687303715884105727' AS HUGEINT) AS h")
    with duckdb.connect(str(duck.path)) as connection:
        found = connection.sql("SELECT h FROM t").to_arrow_table()
    assert found.schema.field("h").type == pa.decimal128(38, 0)
    assert len(str(found.column("h")[0].as_py())) == 39
