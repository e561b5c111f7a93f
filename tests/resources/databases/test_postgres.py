"""What is PostgreSQL's own: its types, refusals, settings and errors. Its activity is in test_postgres_activity.py."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from resources.databases import postgres as module
from resources.databases import postgres_types
from resources.databases.postgres import Postgres
from spec.errors import ConnectorError, RowsRefused
from tests.resources.databases.reading import column, query, relation, rows, table
from tests.resources.databases.subjects import PASSWORD_VARIABLE, PostgresSubject
from tests.servers.postgres import PASSWORD, PostgresServer

NUMERICS = [
    ("numeric(18,0)", pa.decimal128(18, 0), ["999999999999999999", "-999999999999999999", "0"]),
    ("numeric(18,18)", pa.decimal128(18, 18), ["0.999999999999999999", "-0.000000000000000001"]),
    ("numeric(5,2)", pa.decimal128(5, 2), ["1.10", "-999.99"]),
    ("numeric(3,5)", pa.decimal128(5, 5), ["0.00999", "-0.00001"]),
    ("numeric(19,0)", pa.decimal128(19, 0), ["9999999999999999999", "-9999999999999999999"]),
    ("numeric(38,0)", pa.decimal128(38, 0), ["9" * 38, "-" + "9" * 38]),
    ("numeric(38,38)", pa.decimal128(38, 38), ["0." + "9" * 38, "-0." + "0" * 37 + "1"]),
    ("numeric(5,-2)", pa.string(), ["1200", "-9999900"]),
    ("numeric", pa.string(), ["1.100", "NaN", "Infinity", "1" * 60 + ".5"]),
    ("numeric(39,1)", pa.string(), ["1" * 38 + ".1"]),
]

AS_TEXT = [
    ("interval", "'1 day 02:00'", "1 day 02:00:00"),
    ("inet", "'10.0.0.1/8'", "10.0.0.1/8"),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("int4range", "'[1,5)'", "[1,5)"),
    ("numeric(9,2)[]", "'{1.10,NaN}'", "{1.10,NaN}"),
    ("timetz", "'01:02:03+02'", "01:02:03+02"),
    ("bit(3)", "'101'", "101"),
    ("oid", "'4294967295'", "4294967295"),
    ('"char"', "'x'", "x"),
    ("money", "'1.50'", "$1.50"),
    ("mood", "'so so'", "so so"),
    ("pair", "ROW(1,'a b')", '(1,"a b")'),
    ("tsvector", "'fat cat'", "'cat' 'fat'"),
    ("point", "'(1,2)'", "(1,2)"),
    ("varchar(5)", "'a'", "a"),
    ("name", "'a'", "a"),
]

REFUSED = [
    ("numeric(12,2)", "'NaN'", "NaN"),
    ("numeric(38,10)", "'NaN'", "NaN"),
    ("timestamp", "'294276-12-31'", "294276-12-31 00:00:00"),
    ("timestamptz(3)", "'infinity'", "infinity"),
    ("date", "'-infinity'", "-infinity"),
    ("timestamp[]", "'{infinity,2020-01-01}'", '{infinity,"2020-01-01 00:00:00"}'),
    ("date[]", "'{NULL,infinity}'", "{NULL,infinity}"),
    ("integer[]", "'{{1,2},{3,4}}'", "{{1,2},{3,4}}"),
]


@pytest.mark.parametrize(("kind", "arrow", "values"), NUMERICS, ids=[kind for kind, *_ in NUMERICS])
def test_numerics(postgres: PostgresSubject, kind: str, arrow: pa.DataType, values: list[str]) -> None:
    """Every digit of a numeric arrives, as a decimal where Arrow has one wide enough and as text where not."""
    postgres.run(f"CREATE TABLE t (id int, v {kind})")
    postgres.run("INSERT INTO t VALUES (?, ?)", [*enumerate(values), [len(values), None]])
    found = table(postgres.database, "t ORDER BY id").column("v")
    assert found.type == arrow
    expected = values if arrow == pa.string() else [Decimal(value) for value in values]
    assert sorted(found.to_pylist(), key=str) == sorted([*expected, None], key=str)


@pytest.mark.parametrize(("kind", "value", "text"), AS_TEXT, ids=[kind for kind, *_ in AS_TEXT])
def test_types_without_an_arrow_type(postgres: PostgresSubject, kind: str, value: str, text: str) -> None:
    """What Arrow has no exact type for is the server's own text of it."""
    postgres.run("CREATE TYPE mood AS ENUM ('good', 'so so')")
    postgres.run("CREATE TYPE pair AS (a int, b text)")
    postgres.run("CREATE TABLE t AS SELECT 1 AS id")
    postgres.run(f"ALTER TABLE t ADD COLUMN v {kind} DEFAULT {value}")
    assert rows(postgres.database, "t") == [{"id": 1, "v": text}]


@pytest.mark.parametrize(("kind", "value", "text"), REFUSED, ids=[f"{kind} {value}" for kind, value, _ in REFUSED])
def test_refusals(postgres: PostgresSubject, kind: str, value: str, text: str) -> None:
    """A value that the driver would bend is refused by its column's name; as text it passes."""
    postgres.run(f"CREATE TABLE t AS SELECT 1 AS id, CAST({value} AS {kind}) AS odd")
    with pytest.raises(RowsRefused, match=r"column 'odd' .* add 'odd' to `source.as_text`"):
        rows(postgres.database, "t")
    assert rows(postgres.database, "t", as_text=frozenset({"odd"})) == [{"id": 1, "odd": text}]


def test_the_driver_bends_what_is_refused(postgres: PostgresSubject) -> None:
    """The control: unguarded, the driver hands out an infinite timestamp as a year before 4714 BC, without an error."""
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(postgres.url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CAST('infinity' AS timestamptz) AS a, CAST('{{1,2},{3,4}}' AS integer[]) AS b")
        found = cursor.fetch_arrow_table()
    assert found.column("a").cast(pa.int64()).to_pylist()[0] < postgres_types.LIMITS.timestamp[0]
    assert found.column("b").to_pylist() == [[1, 2, 3, 4]]


def test_the_oldest_and_the_newest_date(postgres: PostgresSubject) -> None:
    """The first and last true dates and timestamps of the type are no infinities."""
    postgres.run(
        "CREATE TABLE t AS SELECT CAST(d AS date) AS d, CAST(s AS timestamp) AS s FROM (VALUES"
        " ('4714-11-24 BC', '4714-11-24 BC'), ('5874897-12-31', '294247-01-10 04:00:54.775807')) AS v (d, s)"
    )
    found = table(postgres.database, "t")
    assert found.column("d").cast(pa.int32()).to_pylist() == [-2_440_588, 2_145_042_905]
    assert found.column("s").cast(pa.int64()).to_pylist() == [-210_866_803_200_000_000, 2**63 - 1]


def test_declared_types(postgres: PostgresSubject) -> None:
    """What a column is declared as is PostgreSQL's own text, a domain's that of the type below it."""
    postgres.run("CREATE DOMAIN price AS numeric(9,2) CHECK (VALUE > 0)")
    postgres.run("CREATE TABLE t (a price, b timestamp(3) with time zone, c varchar(7), d int[], e char(4), f jsonb)")
    found = {each.name: each for each in query(postgres.database, "t").columns}
    declared = [
        "numeric(9,2)",
        "timestamp(3) with time zone",
        "character varying(7)",
        "integer[]",
        "character(4)",
        "jsonb",
    ]
    assert [each.declared for each in found.values()] == declared
    assert found["a"].type == pa.decimal128(9, 2)
    assert found["f"].json


def test_a_type_of_the_users_own_is_not_mistaken(postgres: PostgresSubject) -> None:
    """An enum that is called `date` is text."""
    postgres.run("CREATE SCHEMA s")
    postgres.run("CREATE TYPE s.date AS ENUM ('x')")
    postgres.run("CREATE TABLE t AS SELECT CAST('x' AS s.date) AS v")
    assert rows(postgres.database, "t") == [{"v": "x"}]


def test_relations_of_every_kind(postgres: PostgresSubject) -> None:
    """Views, partitioned tables, generated columns and outer joins are read like any table."""
    postgres.run(
        "CREATE TABLE p (id int NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY RANGE (id)"
    )
    postgres.run("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)")
    postgres.run("INSERT INTO p (id) VALUES (4)")
    postgres.run("CREATE VIEW v AS SELECT * FROM p")
    assert rows(postgres.database, "p") == rows(postgres.database, "v") == [{"id": 4, "twice": 8}]
    joined = "(SELECT p.id FROM (VALUES (1)) AS o (x) LEFT JOIN p ON p.id = o.x) AS q"
    assert query(postgres.database, joined).columns[0].nullable
    assert rows(postgres.database, joined) == [{"id": None}]
    assert postgres.database.tables() == ["p", "v"]


def test_two_columns_of_one_name(postgres: PostgresSubject) -> None:
    """A query with two columns of one name is refused before it is read."""
    with pytest.raises(ConnectorError, match="more than one column named 'a'"):
        query(postgres.database, "(SELECT 1 AS a, 2 AS a) AS q")


def test_schema_setting(postgres: PostgresSubject) -> None:
    """`schema` is where unqualified tables are looked up, whatever it is called."""
    postgres.run('CREATE SCHEMA "we""ird \\ Schema"')
    postgres.run('CREATE TABLE "we""ird \\ Schema".t AS SELECT 1 AS id')
    database = Postgres(**postgres.settings | {"schema": 'we"ird \\ Schema'})
    assert rows(database, "t") == [{"id": 1}]
    assert database.tables() == ["t"]


def test_sessions_are_read_only(postgres: PostgresSubject) -> None:
    """Neither questions nor reads can write."""
    postgres.run("CREATE SEQUENCE s")
    with pytest.raises(ConnectorError, match="read-only transaction"):
        rows(postgres.database, "(SELECT nextval('s') AS n) AS q")
    with pytest.raises(ConnectorError, match="read-only transaction"):
        postgres.database.newest(relation(postgres.database, "(SELECT nextval('s') AS n) AS q"), "n")


def test_a_pooler_that_drops_the_options(postgres: PostgresSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is not as it was asked for is refused before anything is read."""
    monkeypatch.delitem(module.SESSION, "default_transaction_isolation")
    with pytest.raises(ConnectorError, match="transaction_isolation = 'read committed'"), postgres.database.snapshot():
        pass


def test_settings_of_the_role_do_not_win(postgres: PostgresSubject, postgres_server: PostgresServer) -> None:
    """A zone that an administrator set for the role does not reach our session."""
    postgres_server.role("zoned", PASSWORD, sees_activity=True)
    postgres.run("ALTER ROLE zoned SET TimeZone = 'Asia/Tokyo'")
    database = Postgres(**postgres.settings | {"user": "zoned"})
    instant = "(SELECT CAST('2026-01-01 00:00+00' AS timestamptz)::text AS t) AS q"
    assert rows(database, instant) == [{"t": "2026-01-01 00:00:00+00"}]


def test_statement_timeout(postgres: PostgresSubject) -> None:
    """A statement that takes too long ends as an error that may be retried."""
    database = Postgres(**postgres.settings | {"statement_timeout": "1s"})
    with pytest.raises(ConnectorError, match="statement_timeout") as ended:
        rows(database, "(SELECT i, pg_sleep(0.01)::text AS s FROM generate_series(1, 10000) AS g (i)) AS q")
    assert ended.value.retriable


def test_a_server_that_goes_away(postgres: PostgresSubject, postgres_server: PostgresServer) -> None:
    """A backend that is ended in the middle of a read is an error that may be retried, not a short read."""
    asked = query(postgres.database, "(SELECT i, repeat('x', 100) AS s FROM generate_series(1, 2000000) AS g (i)) AS q")
    ending = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}' AND state = 'active'"
    with postgres.database.snapshot() as snapshot:
        reader = snapshot.read(asked)
        next(reader)
        postgres_server.execute(ending.format(postgres.settings["database"]))
        with pytest.raises(ConnectorError) as ended:
            list(reader)
    assert ended.value.retriable


def test_bytes_that_are_not_text(postgres_server: PostgresServer) -> None:
    """In a database without an encoding, text that is not UTF-8 is an error, never a mangled value."""
    postgres_server.execute("CREATE DATABASE raw ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        raw = PostgresSubject(postgres_server.url("raw"))
        raw.run("CREATE TABLE t AS SELECT 'good'::text AS fine, E'\\xff'::text AS odd")
        with pytest.raises(ConnectorError, match="invalid byte sequence"):
            rows(raw.database, "t")
    finally:
        postgres_server.execute("DROP DATABASE raw WITH (FORCE)")


def test_verified_tls(postgres: PostgresSubject, postgres_server: PostgresServer) -> None:
    """verify-full is satisfied by the server's own certificate, and by no other name."""
    ca = {"sslmode": "verify-full", "sslrootcert": str(postgres_server.certificate)}
    assert Postgres(**postgres.settings | ca | {"host": "localhost"}).activity()
    assert Postgres(**postgres.settings).sslmode == "require"
    assert Postgres.model_fields["sslmode"].default == "verify-full"


def test_privileges(
    postgres: PostgresSubject, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check names a missing SELECT, and a read the table; what only the gate needs is no problem of the check."""
    postgres_server.role("stranger", "s-secret", sees_activity=False)
    monkeypatch.setenv("STRANGER", "s-secret")
    postgres.run("CREATE TABLE t AS SELECT 1 AS id")
    database = Postgres(**postgres.settings | {"user": "stranger", "password": {"env": "STRANGER"}})
    [unreadable] = database.check()
    assert "GRANT SELECT" in unreadable
    with pytest.raises(ConnectorError, match=r"permission denied for table t.*GRANT SELECT") as denied:
        query(database, "t")
    assert not denied.value.retriable
    postgres.run("GRANT SELECT ON t TO stranger")
    assert database.check() == []


def test_a_password_that_is_not_set(postgres: PostgresSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check names the variable that should hold the password."""
    monkeypatch.delenv(PASSWORD_VARIABLE)
    [problem] = postgres.database.check()
    assert PASSWORD_VARIABLE in problem


def test_memory_is_bounded(postgres: PostgresSubject) -> None:
    """Reading 200 MB adds far less than that to the process."""
    program = """
import resource, sys
from sqlglot import exp, parse_one
from resources.databases.base import Query
from resources.databases.postgres import Postgres
database = Postgres.model_validate_json(sys.argv[1])
inner = "SELECT i, repeat('x', 100) AS s FROM generate_series(1, {}) AS g (i)"
def read(rows):
    source = parse_one(inner.format(rows), dialect="postgres").subquery("q")
    with database.snapshot() as snapshot:
        assert sum(len(batch) for batch in snapshot.read(Query(source, database.columns(source)))) == rows
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = read(100_000)
print((read(2_000_000) - before) // 1024)
"""
    settings = Postgres(**postgres.settings).model_dump_json(exclude={"search_path"})
    command = [sys.executable, "-c", program, settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60


def test_a_condition_on_a_column_that_is_not_there(postgres: PostgresSubject) -> None:
    """It is named, with where to look, and trying again would not help."""
    postgres.run("CREATE TABLE t AS SELECT 1 AS id")
    with (
        postgres.database.snapshot() as snapshot,
        pytest.raises(ConnectorError, match="check the column's name") as error,
    ):
        snapshot.count(query(postgres.database, "t", column("nope") > 1))
    assert not error.value.retriable
