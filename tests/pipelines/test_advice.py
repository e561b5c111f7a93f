"""What `check --connect` says of sources: advice that stops nothing, and problems that would stop a run."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from assets.advice import INDEXES, index_sql
from assets.relation import table_of
from tests.pipelines.sqlite_shop import made, run
from tests.servers.postgres import PASSWORD, PostgresServer
from tests.small import EXPORT, Ended, Small

GOOD = (
    "CREATE TABLE sales (id INTEGER PRIMARY KEY, sold_at DATETIME NOT NULL, tenant TEXT NOT NULL)",
    "CREATE INDEX by_time ON sales (sold_at)",
)
CURSOR = "{by: time, column: sold_at, key: id, timezone: UTC}"
NAIVE = EXPORT.replace("connector: shop", "connector: lite").replace(
    "{by: time, column: sold_at, key: id, stamped_by: database}", CURSOR
)


def checked(small: Small, text: str = NAIVE) -> Ended:
    """How `check --connect` ends for an export's YAML."""
    small.declare(text)
    return small.outgate("check", "sales", "--connect")


def advice(ended: Ended) -> list[str]:
    """The advice, which must not have stopped anything."""
    assert ended.returncode == 0, ended.stderr
    return [line for line in ended.stdout.splitlines() if line.startswith("advice: ")]


def test_nothing_to_say(tmp_path: Path) -> None:
    """A table with key, index and NOT NULL, and stamps that the application sets, needs no advice."""
    assert advice(checked(made(tmp_path, *GOOD))) == []


def test_a_missing_index(tmp_path: Path) -> None:
    """The advised statement, run as it is printed, is what ends the advice."""
    small = made(tmp_path, GOOD[0])
    [line] = advice(checked(small))
    assert line.startswith("advice: pipelines/sales.yaml:6: no index begins with 'sold_at'")
    run(small, line.partition("to mend it: ")[2])
    assert advice(checked(small)) == []


def test_an_index_that_begins_with_another_column(tmp_path: Path) -> None:
    """The cursor in second place does not help."""
    small = made(tmp_path, GOOD[0], "CREATE INDEX by_tenant ON sales (tenant, sold_at)")
    assert len(advice(checked(small))) == 1


def test_a_tenant_comes_first(tmp_path: Path) -> None:
    """Among many tenants the index and the table's key may begin with theirs; the advised statement does."""
    of_one = NAIVE.replace("  cursor:", "  tenant: {column: tenant, equals: acme}\n  cursor:")
    keyed = "CREATE TABLE sales (id INTEGER NOT NULL, sold_at DATETIME NOT NULL, tenant TEXT NOT NULL, PRIMARY KEY (tenant, id))"
    small = made(tmp_path, keyed)
    [line] = advice(checked(small, of_one))
    assert line.endswith('ON "sales" ("tenant", "sold_at", "id");')
    run(small, line.partition("to mend it: ")[2])
    assert advice(checked(small, of_one)) == []
    assert len(advice(checked(small))) == 2


def test_a_cursor_that_may_be_null(tmp_path: Path) -> None:
    """Said where a NULL would be an error, not where the declaration knows what to do with it."""
    small = made(tmp_path, GOOD[0].replace("DATETIME NOT NULL", "DATETIME"), GOOD[1])
    [line] = advice(checked(small))
    assert "may be NULL" in line
    assert advice(checked(small, NAIVE.replace("timezone: UTC", "timezone: UTC, nulls: exclude"))) == []


def test_keys(tmp_path: Path) -> None:
    """No key of the table, none declared, or one that is not the table's: each is said."""
    small = made(tmp_path, *GOOD)
    [line] = advice(checked(small, NAIVE.replace("key: id, ", "")))
    assert "has no `key:` for rows of one moment; the table's key is 'id'" in line
    [line] = advice(checked(small, NAIVE.replace("key: id", "key: tenant")))
    assert "`key: tenant` alone is not known to be unique" in line
    run(small, "DROP TABLE sales", GOOD[0].replace("INTEGER PRIMARY KEY", "INTEGER"), GOOD[1])
    [line] = advice(checked(small))
    assert "no primary key" in line


def test_doubtful_keys_and_tenants(tmp_path: Path) -> None:
    """A key of floating points, and texts under a collation that takes capitals for the same."""
    small = made(
        tmp_path,
        "CREATE TABLE sales (id REAL PRIMARY KEY NOT NULL, sold_at DATETIME NOT NULL, tenant TEXT COLLATE NOCASE)",
        GOOD[1],
    )
    [line] = advice(checked(small))
    assert "two keys may be one number" in line
    with_tenant = NAIVE.replace("partitions:", "  tenant: {column: tenant, equals: acme}\npartitions:")
    [_, line] = advice(checked(small, with_tenant))
    assert "another spelling than 'acme'" in line


def test_a_snapshot_needs_none_of_it(tmp_path: Path) -> None:
    """Without a cursor there is nothing to index, to stamp or to miss."""
    small = made(tmp_path, "CREATE TABLE sales (id REAL)")
    assert (
        advice(
            checked(small, NAIVE.replace(f"  cursor: {CURSOR}\n", "").replace("deliver:", "mode: snapshot\ndeliver:"))
        )
        == []
    )


def test_blindness_matters_to_the_gate_only(tmp_path: Path) -> None:
    """That open transactions cannot be seen is said where the export counts on it."""
    small = made(tmp_path, *GOOD)
    [line] = advice(checked(small, NAIVE.replace("timezone: UTC", "timezone: UTC, stamped_by: database")))
    assert "`lag`, not `gate` (SQLite does not show who has a transaction open); the lag is 5m" in line


def test_the_right_that_the_gate_needs(
    tmp_path: Path, postgres_url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL the missing right is advice with its GRANT, for stamps of the database only, and exit 0."""
    parts = conninfo_to_dict(postgres_url)
    postgres_server.role("adviser", PASSWORD, sees_activity=False)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE sales (id bigint PRIMARY KEY, sold_at timestamptz NOT NULL)")
        connection.execute("CREATE INDEX ON sales (sold_at)")
        connection.execute("GRANT SELECT ON sales TO adviser")
    small = made(tmp_path)
    with (small.root / "pipelines/connectors.yaml").open("a") as file:
        file.write(
            f"pg: {{type: postgres, host: {parts['host']}, port: {parts['port']}, database: {parts['dbname']},"
            " user: adviser, password: {file: secret}, sslmode: require}\n"
        )
    (small.root / "secret").write_text(PASSWORD)
    stamped = EXPORT.replace("connector: shop", "connector: pg")
    [line] = advice(checked(small, stamped))
    assert line.endswith("to mend it: GRANT pg_read_all_stats TO adviser;")
    assert advice(checked(small, stamped.replace(", stamped_by: database", ""))) == []
    postgres_server.execute(line.partition("to mend it: ")[2])
    assert advice(checked(small, stamped)) == []


@pytest.mark.parametrize("kind", ["TEXT", "REAL", "INT"])
def test_a_column_that_cannot_be_a_cursor_by_time(tmp_path: Path, kind: str) -> None:
    """What would stop every run is a problem: exit 2, at the line."""
    ended = checked(made(tmp_path, GOOD[0].replace("DATETIME", kind), GOOD[1]))
    assert ended.returncode == 2
    assert "pipelines/sales.yaml:6: cursor 'sold_at'" in ended.stderr


def test_a_query_has_no_catalogue(tmp_path: Path) -> None:
    """Of a query of one's own only the gate is spoken of."""
    small = made(tmp_path, GOOD[0])
    assert advice(checked(small, NAIVE.replace("table: sales", "sql: SELECT * FROM sales"))) == []


@pytest.mark.parametrize("dialect", [*INDEXES, "duckdb"])
def test_index_statements(dialect: str) -> None:
    """Names are quoted as the dialect does it; a database that needs no index is not told to make one."""
    sql = index_sql(dialect, table_of("crm.orders"), ["updated at", "id"])
    marks = {"mysql": "``", "tsql": "[]"}.get(dialect, '""')
    name = f"{marks[0]}updated at{marks[1]}"
    assert (name in sql) == (dialect != "duckdb")
    assert sql.endswith(";") == (dialect != "duckdb")
