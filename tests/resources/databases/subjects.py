"""The databases that the conformance suite runs on, a class each: how to fill one, and how to break its connection.

What must hold of all of them is in test_conformance.py; what is one database's own is in that database's tests.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

import duckdb
import psycopg
from psycopg.conninfo import conninfo_to_dict

from resources.databases.base import Database
from resources.databases.duckdb import DuckDB
from resources.databases.mysql import MariaDB
from resources.databases.postgres import Postgres
from resources.databases.sqlite import SQLite
from spec.secrets import FromEnv
from tests.servers.mariadb import OWNER, MariaDBServer

PASSWORD_VARIABLE = "OUTGATE_TEST_DATABASE_PASSWORD"
WRONG_VARIABLE = "OUTGATE_TEST_WRONG_PASSWORD"
WRONG = "wrong-p@ss/word"
KEPT = (int, float, str, bytes, type(None))
"""What SQLite stores as it is."""


class Subject(Protocol):
    """A database under test. `types` names its SQL types; `broken` its wrong connections and whether they may heal.

    What a database cannot hold is left out of `types`, of `infinite` (literals that no type of Arrow can carry) and of
    `nan`; `schemas` may be made in it, and `blind` is what it says of open transactions when nobody else is there.
    `collations` are two text types: one that is loose, and one whose texts differ and sort by code point. `instead` are
    values for the extreme ones that the database cannot store, by the name of their type.
    """

    types: ClassVar[dict[str, str]]
    infinite: ClassVar[dict[str, str]]
    nan: ClassVar[tuple[str, ...]]
    series: ClassVar[str]
    schemas: ClassVar[tuple[str, ...]]
    collations: ClassVar[tuple[str, str]]
    blind: ClassVar[str]
    instead: ClassVar[dict[str, Any]]

    @property
    def database(self) -> Database:
        """The connector under test."""

    def run(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Commit one statement, once or with each of `rows` as its parameters (written `?`)."""

    def broken(self) -> list[tuple[Database, bool]]:
        """Connectors that cannot connect, each with whether its error is retriable."""


class PostgresSubject:
    """PostgreSQL, through TLS and with a password."""

    types: ClassVar[dict[str, str]] = {
        "integer": "bigint",
        "exact": "numeric(38,10)",
        "money": "numeric(12,2)",
        "flag": "boolean",
        "ratio": "double precision",
        "text": "text",
        "moment": "timestamp",
        "instant": "timestamptz",
        "day": "date",
        "clock": "time",
        "document": "json",
        "bytes": "bytea",
        "numbers": "integer[]",
        "words": "text[]",
    }
    infinite: ClassVar[dict[str, str]] = {
        "moment": "'infinity'",
        "instant": "'-infinity'",
        "day": "'infinity'",
        "clock": "'24:00:00'",
    }
    nan: ClassVar[tuple[str, ...]] = ("'NaN'",)
    series: ClassVar[str] = "generate_series(1, {rows}) AS r(i)"
    schemas: ClassVar[tuple[str, ...]] = ("s",)
    collations: ClassVar[tuple[str, str]] = ('text COLLATE "und-x-icu"', "text")
    blind: ClassVar[str] = ""
    instead: ClassVar[dict[str, Any]] = {}

    def __init__(self, url: str) -> None:
        parts = conninfo_to_dict(url)
        self.url = url
        self.settings: dict[str, Any] = {
            "host": parts["host"],
            "port": int(str(parts["port"])),
            "database": parts["dbname"],
            "user": parts["user"],
            "password": FromEnv(env=PASSWORD_VARIABLE),
            "sslmode": "require",
        }

    @property
    def database(self) -> Database:
        """The connector under test."""
        return Postgres(**self.settings)

    def run(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Commit one statement as its owner."""
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            if rows:
                cursor.executemany(statement.replace("?", "%s").encode(), rows)
            else:
                cursor.execute(statement.encode())

    def broken(self) -> list[tuple[Database, bool]]:
        """One wrong setting each."""
        changes: list[tuple[dict[str, Any], bool]] = [
            ({"host": "nowhere.invalid"}, True),
            ({"port": 1}, True),
            ({"password": FromEnv(env=WRONG_VARIABLE)}, False),
            ({"user": "nobody_here"}, False),
            ({"database": "not_there"}, False),
            ({"sslmode": "verify-full", "sslrootcert": "/etc/ssl/certs/ca-certificates.crt"}, False),
        ]
        return [(Postgres(**self.settings | change), retriable) for change, retriable in changes]


class DuckDBSubject:
    """DuckDB, a file in the test's folder."""

    types: ClassVar[dict[str, str]] = PostgresSubject.types | {
        "ratio": "double",
        "document": "json",
        "bytes": "blob",
        "text": "varchar",
        "words": "varchar[]",
    }
    infinite: ClassVar[dict[str, str]] = PostgresSubject.infinite
    nan: ClassVar[tuple[str, ...]] = PostgresSubject.nan
    series: ClassVar[str] = "range(1, {rows} + 1) AS r(i)"
    schemas: ClassVar[tuple[str, ...]] = PostgresSubject.schemas
    collations: ClassVar[tuple[str, str]] = ("varchar COLLATE nocase", "varchar")
    blind: ClassVar[str] = PostgresSubject.blind
    instead: ClassVar[dict[str, Any]] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        duckdb.connect(str(path)).close()

    @property
    def database(self) -> Database:
        """The connector under test."""
        return DuckDB(path=str(self.path))

    def run(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Commit one statement as its owner."""
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            if rows:
                connection.executemany(statement, rows)
            else:
                connection.execute(statement)

    def broken(self) -> list[tuple[Database, bool]]:
        """A missing file, a file of text, a folder."""
        text = self.path.with_name("text.duckdb")
        text.write_text("not a database")
        return [
            (DuckDB(path=str(self.path.with_name("missing.duckdb"))), False),
            (DuckDB(path=str(text)), False),
            (DuckDB(path=str(self.path.parent)), False),
        ]


class SQLiteSubject:
    """SQLite, a file in the test's folder, in WAL mode: its writers and readers do not wait for each other."""

    types: ClassVar[dict[str, str]] = {
        "integer": "integer",
        "money": "decimal(12,2)",
        "flag": "boolean",
        "ratio": "double",
        "text": "varchar",
        "moment": "timestamp",
        "instant": "timestamptz",
        "day": "date",
        "clock": "time",
        "document": "json",
        "bytes": "blob",
    }
    infinite: ClassVar[dict[str, str]] = PostgresSubject.infinite
    nan: ClassVar[tuple[str, ...]] = ()
    series: ClassVar[str] = (
        "(WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {rows}) SELECT i FROM r) AS s"
    )
    schemas: ClassVar[tuple[str, ...]] = ()
    collations: ClassVar[tuple[str, str]] = ("text COLLATE NOCASE", "text")
    blind: ClassVar[str] = "SQLite does not show who has a transaction open"
    instead: ClassVar[dict[str, Any]] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run("PRAGMA journal_mode = WAL")

    @property
    def database(self) -> Database:
        """The connector under test."""
        return SQLite(path=str(self.path))

    def run(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Commit one statement, its dates and decimals as the text that SQLite keeps of them."""
        texts = [[value if isinstance(value, KEPT) else str(value) for value in row] for row in rows]
        with closing(sqlite3.connect(self.path)) as connection, connection:
            if rows:
                connection.executemany(statement, texts)
            else:
                connection.execute(statement)

    def broken(self) -> list[tuple[Database, bool]]:
        """A missing file, a file of text, a folder."""
        text = self.path.with_name("text.sqlite")
        text.write_text("not a database, but long enough to be the header of one: " * 20)
        wrong = (self.path.with_name("missing.sqlite"), text, self.path.parent)
        return [(SQLite(path=str(path)), False) for path in wrong]


class MySQLSubject:
    """MariaDB, through TLS and with a password; the statements of the tests are in its ANSI mode."""

    types: ClassVar[dict[str, str]] = {
        "integer": "bigint",
        "exact": "decimal(38,10)",
        "money": "decimal(12,2)",
        "ratio": "double",
        "text": "text",
        "moment": "datetime(6)",
        "instant": "timestamp(6) NULL",
        "day": "date",
        "clock": "time(6)",
        "document": "json",
        "bytes": "blob",
    }
    infinite: ClassVar[dict[str, str]] = {
        "moment": "'0000-00-00 00:00:00.000000'",
        "instant": "'0000-00-00 00:00:00.000000'",
        "day": "'2024-00-00'",
        "clock": "'24:00:00.000000'",
    }
    nan: ClassVar[tuple[str, ...]] = ()
    series: ClassVar[str] = "(SELECT seq AS i FROM seq_1_to_{rows}) AS r"
    schemas: ClassVar[tuple[str, ...]] = ("test_s",)
    collations: ClassVar[tuple[str, str]] = ("varchar(20)", "varchar(20) COLLATE utf8mb4_nopad_bin")
    blind: ClassVar[str] = ""
    instead: ClassVar[dict[str, Any]] = {
        "ratio": -1.7976931348623157e308,
        "instant": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    }

    def __init__(self, server: MariaDBServer, name: str) -> None:
        self.server = server
        self.name = name
        self.settings: dict[str, Any] = {
            "host": server.host,
            "port": server.port,
            "database": name,
            "user": OWNER,
            "password": FromEnv(env=PASSWORD_VARIABLE),
            "ssl_ca": str(server.certificate),
        }

    @property
    def database(self) -> Database:
        """The connector under test."""
        return MariaDB(**self.settings)

    def run(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Commit one statement as its owner, who may store a date that is none."""
        mode = "SET time_zone = '+00:00', sql_mode = 'ANSI'"
        with self.server.connect(self.name, init_command=mode) as session, session.cursor() as cursor:
            if rows:
                cursor.executemany(statement.replace("?", "%s"), [list(row) for row in rows])
            else:
                cursor.execute(statement)

    def broken(self) -> list[tuple[Database, bool]]:
        """One wrong setting each."""
        changes: list[tuple[dict[str, Any], bool]] = [
            ({"host": "nowhere.invalid"}, True),
            ({"port": 1}, True),
            ({"password": FromEnv(env=WRONG_VARIABLE)}, False),
            ({"user": "nobody_here"}, False),
            ({"database": "test_not_there"}, False),
            ({"database": "forbidden"}, False),
            ({"ssl_ca": "/etc/ssl/certs/ca-certificates.crt"}, False),
            ({"ssl_ca": "/nowhere/ca.pem"}, False),
        ]
        return [(MariaDB(**self.settings | change), retriable) for change, retriable in changes]
