"""The sample is the same on every machine, keeps its day, and really holds the rows that exports stumble over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from demo.generate import TABLES, generate, main

UNTIL = date(2026, 3, 1)
SMALL = 20_000


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample."""
    path: Path = tmp_path_factory.mktemp("demo") / "loyalty.duckdb"
    generate(path, UNTIL, events=SMALL)
    return path


@pytest.fixture
def database(sample: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The small sample, open for reading with the session in UTC."""
    with duckdb.connect(sample, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def prints(path: Path) -> dict[str, Any]:
    """One number a table that changes with any value of it."""
    with duckdb.connect(path, read_only=True) as connection:
        query = "SELECT bit_xor(hash(t)) FROM {} AS t"
        return {table: one(connection, query.format(table)) for table in TABLES}


def one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The only value of a query."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_the_same_arguments_give_the_same_rows(sample: Path, tmp_path: Path) -> None:
    """A second run makes equal tables, and another seed makes others."""
    generate(tmp_path / "again.duckdb", UNTIL, events=SMALL)
    generate(tmp_path / "other.duckdb", UNTIL, events=SMALL, seed=8)
    assert prints(tmp_path / "again.duckdb") == prints(sample)
    assert all(prints(tmp_path / "other.duckdb")[table] != value for table, value in prints(sample).items())


def test_no_fact_is_later_than_the_day(database: duckdb.DuckDBPyConnection) -> None:
    """Stamps end before `until`, and begin two years earlier."""
    end = datetime(2026, 3, 1, tzinfo=UTC)
    for table, born in {"events": "occurred_at", "receipts": "purchased_at", "customers": "created_at"}.items():
        low, high, wrong = database.execute(
            f"SELECT min({born}), max(updated_at), count(*) FILTER (updated_at < {born}) FROM {table}"
        ).fetchall()[0]
        assert (end - low).days == 729
        assert high < end
        assert wrong == 0


def test_many_events_share_one_stamp(database: duckdb.DuckDBPyConnection) -> None:
    """The stamps of a nightly job are ties, and others carry microseconds."""
    ties = "SELECT max(n) FROM (SELECT count(*) AS n FROM events GROUP BY updated_at)"
    assert one(database, ties) >= 5
    assert one(database, "SELECT count(*) FROM events WHERE microsecond(updated_at) % 1000 <> 0") > SMALL / 2


@pytest.mark.parametrize(
    "text", ["", "two\nlines", 'Zoë said "merci"', "semi;colon, comma", "NULL", "=1+1", "a \\ backslash"]
)
def test_odd_texts_are_there(database: duckdb.DuckDBPyConnection, text: str) -> None:
    """Each text that a careless CSV writer breaks is in the notes."""
    count = database.execute("SELECT count(*) FROM events WHERE note = ?", [text]).fetchall()[0][0]
    assert count > 0


def test_empty_is_not_missing(database: duckdb.DuckDBPyConnection) -> None:
    """Notes and genders are sometimes empty and sometimes NULL, and those differ."""
    for table, column in {"events": "note", "customers": "gender"}.items():
        assert one(database, f"SELECT count(*) FROM {table} WHERE {column} = ''") > 0
        assert one(database, f"SELECT count(*) FROM {table} WHERE {column} IS NULL") > 0


def test_two_tenants_share_the_tables(database: duckdb.DuckDBPyConnection) -> None:
    """About four of five events are Acme's, and an event's tenant is its customer's."""
    assert 0.7 < one(database, "SELECT avg(CAST(tenant = 'acme' AS INTEGER)) FROM events") < 0.9
    joined = "events JOIN customers ON customers.id = customer_id WHERE events.tenant <> customers.tenant"
    assert one(database, f"SELECT count(*) FROM {joined}") == 0


def test_receipts_are_the_sum_of_their_lines(database: duckdb.DuckDBPyConnection) -> None:
    """No receipt without lines, none whose total differs from them by a cent."""
    sums = "(SELECT receipt_id, sum(amount) AS total FROM receipt_lines GROUP BY receipt_id) AS lines"
    joined = f"receipts LEFT JOIN {sums} ON receipt_id = id"
    assert one(database, f"SELECT count(*) FROM {joined} WHERE lines.total IS DISTINCT FROM receipts.total") == 0


def test_types_are_those_that_get_lost(database: duckdb.DuckDBPyConnection) -> None:
    """Decimals, JSON, dates and times with a zone, none of them a float."""
    kinds = dict(zip(*(getattr(database.table("events"), part) for part in ("columns", "types")), strict=True))
    assert (str(kinds["points"]), str(kinds["payload"])) == ("DECIMAL(12,2)", "JSON")
    assert str(kinds["updated_at"]) == "TIMESTAMP WITH TIME ZONE"
    every = [str(kind) for table in TABLES for kind in database.table(table).types]
    assert not {"DOUBLE", "FLOAT"} & set(every)
    assert "DECIMAL(18,4)" in every


def test_a_run_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """The file is replaced at the end, at once: a run that breaks leaves what was there and nothing beside it."""
    path = tmp_path / "loyalty.duckdb"
    path.write_text("old")
    with pytest.raises(duckdb.Error):
        generate(path, UNTIL, events=-(2**70))
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["loyalty.duckdb"]


def test_the_command_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes the file where it is told to and prints the rows by table."""
    main(["--path", str(tmp_path / "x.duckdb"), "--until", "2026-03-01", "--events", "1000"])
    assert "40 customers, 800 products, 300 receipts" in capsys.readouterr().out
