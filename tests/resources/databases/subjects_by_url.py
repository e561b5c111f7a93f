"""The databases that no registry has a server of: they run the conformance suite where a URL names one.

OUTGATE_TEST_SQLSERVER_URL = sqlserver://user:password@host:1433/master?trust_server_certificate=true (may CREATE DATABASE)
OUTGATE_TEST_ORACLE_URL = oracle://user:password@host:1521/service?protocol=tcp (may CREATE USER and GRANT)
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import pytest
import sqlglot

from resources.databases.base import Database
from resources.databases.oracle import Oracle
from resources.databases.sqlserver import SqlServer
from resources.databases.sqlserver_dial import dialled
from spec.secrets import FromEnv
from tests.resources.databases.reading import small
from tests.resources.databases.subjects import WRONG_VARIABLE

PASSWORD_VARIABLE = "OUTGATE_TEST_URL_PASSWORD"


def server(variable: str, what: str) -> SplitResult:
    """The server that the variable names; else a named skip, under CI as well: there is nothing to install."""
    if not os.environ.get(variable):
        pytest.skip(f"{what}: no package registry has such a server; {variable} names none")
    parts = urlsplit(os.environ[variable])
    os.environ[PASSWORD_VARIABLE] = unquote(parts.password or "")
    return parts


def settings(parts: SplitResult) -> dict[str, Any]:
    """What every connector of a URL has; its query holds other settings."""
    others = {name: {"true": True, "false": False}.get(value, value) for name, value in parse_qsl(parts.query)}
    place = {"host": parts.hostname, "port": parts.port, "user": unquote(parts.username or "")}
    return {name: value for name, value in (place | others).items() if value is not None}


class SqlServerSubject:
    """SQL Server: a database of its own for each test, dropped afterwards."""

    types: ClassVar[dict[str, str]] = {
        "integer": "bigint",
        "exact": "decimal(38,10)",
        "money": "decimal(12,2)",
        "flag": "bit",
        "ratio": "float",
        "text": "nvarchar(400)",
        "moment": "datetime2(6)",
        "instant": "datetimeoffset(6)",
        "day": "date",
        "clock": "time(6)",
        "bytes": "varbinary(max)",
    }
    infinite: ClassVar[dict[str, str]] = {}
    nan: ClassVar[tuple[str, ...]] = ()
    series: ClassVar[str] = "(SELECT CAST(value AS varchar(20)) AS i FROM GENERATE_SERIES(1, {rows})) AS r"
    schemas: ClassVar[tuple[str, ...]] = ("s",)
    collations: ClassVar[tuple[str, str]] = (
        "varchar(20) COLLATE Latin1_General_CI_AS",
        "varchar(20) COLLATE Latin1_General_BIN2",
    )
    blind: ClassVar[str] = ""
    instead: ClassVar[dict[str, Any]] = {}

    def __init__(self, given: dict[str, Any]) -> None:
        self.settings = given | {"password": FromEnv(env=PASSWORD_VARIABLE)}

    @property
    def database(self) -> Database:
        """The connector under test."""
        return SqlServer(**self.settings)

    def run(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Commit one statement as its owner."""
        text = statement.replace(" || ", " + ").replace("?", "%s")
        with dialled(SqlServer(**self.settings).dial, os.environ[PASSWORD_VARIABLE]) as connection:
            cursor = connection.cursor()
            for row in rows or [()]:
                cursor.execute(text, *([tuple(map(_plain, row))] if row else []))

    def broken(self) -> list[tuple[Database, bool]]:
        """One wrong setting each."""
        changes: list[tuple[dict[str, Any], bool]] = [
            ({"host": "nowhere.invalid"}, True),
            ({"port": 1}, True),
            ({"password": FromEnv(env=WRONG_VARIABLE)}, False),
            ({"database": "not_there"}, False),
        ]
        return [(SqlServer(**self.settings | change), retriable) for change, retriable in changes]


class OracleSubject:
    """Oracle: a user, and so a schema, of its own for each test, dropped afterwards."""

    types: ClassVar[dict[str, str]] = {
        "integer": "number(19)",
        "exact": "number(38,10)",
        "money": "number(12,2)",
        "ratio": "binary_double",
        "text": "varchar2(400)",
        "moment": "timestamp(6)",
        "instant": "timestamp(6) with time zone",
        "bytes": "blob",
    }
    infinite: ClassVar[dict[str, str]] = {}
    nan: ClassVar[tuple[str, ...]] = ("binary_double_nan",)
    series: ClassVar[str] = "(SELECT LEVEL AS i FROM DUAL CONNECT BY LEVEL <= {rows}) r"
    schemas: ClassVar[tuple[str, ...]] = ()
    collations: ClassVar[tuple[str, str]] = ("varchar2(20) COLLATE BINARY_CI", "varchar2(20)")
    blind: ClassVar[str] = ""
    instead: ClassVar[dict[str, Any]] = {}

    def __init__(self, given: dict[str, Any], schema: str) -> None:
        self.settings = given | {"password": FromEnv(env=PASSWORD_VARIABLE), "schema": schema}

    @property
    def database(self) -> Database:
        """The connector under test."""
        return Oracle(**self.settings)

    def run(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Commit one statement in the test's own schema; names in small letters stay small."""
        text = sqlglot.parse_one(statement, dialect="oracle").transform(small).sql("oracle")
        for number in range(1, text.count("?") + 1):
            text = text.replace("?", f":{number}", 1)
        with self.connected() as connection, connection.cursor() as cursor:
            cursor.execute(f'ALTER SESSION SET CURRENT_SCHEMA = "{self.settings["schema"]}"')
            for row in rows or [()]:
                cursor.execute(text, list(row) or None)
            connection.commit()

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """The driver's own connection, as the owner of all."""
        import oracledb

        arguments = Oracle(**self.settings).arguments
        with closing(oracledb.connect(**arguments, password=os.environ[PASSWORD_VARIABLE])) as connection:
            yield connection

    def broken(self) -> list[tuple[Database, bool]]:
        """One wrong setting each."""
        changes: list[tuple[dict[str, Any], bool]] = [
            ({"host": "nowhere.invalid"}, True),
            ({"port": 1}, True),
            ({"password": FromEnv(env=WRONG_VARIABLE)}, False),
        ]
        return [(Oracle(**self.settings | change), retriable) for change, retriable in changes]


@contextmanager
def sqlserver_subject() -> Iterator[SqlServerSubject]:
    """A fresh database of the named SQL Server that allows snapshots."""
    parts = server("OUTGATE_TEST_SQLSERVER_URL", "SQL Server")
    owner = SqlServerSubject(settings(parts) | {"database": parts.path.strip("/") or "master"})
    name = f"test_{uuid.uuid4().hex[:12]}"
    owner.run(f"CREATE DATABASE [{name}]")
    try:
        owner.run(f"ALTER DATABASE [{name}] SET ALLOW_SNAPSHOT_ISOLATION ON")
        yield SqlServerSubject(owner.settings | {"database": name})
    finally:
        owner.run(f"ALTER DATABASE [{name}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
        owner.run(f"DROP DATABASE [{name}]")


@contextmanager
def oracle_subject() -> Iterator[OracleSubject]:
    """A fresh schema of the named Oracle."""
    parts = server("OUTGATE_TEST_ORACLE_URL", "Oracle")
    name = f"TEST_{uuid.uuid4().hex[:12]}".upper()
    subject = OracleSubject(settings(parts) | {"service_name": parts.path.strip("/")}, name)
    with subject.connected() as connection, connection.cursor() as cursor:
        cursor.execute(f'CREATE USER "{name}" NO AUTHENTICATION QUOTA UNLIMITED ON users')
    try:
        yield subject
    finally:
        with subject.connected() as connection, connection.cursor() as cursor:
            cursor.execute(f'DROP USER "{name}" CASCADE')


def _plain(value: Any) -> Any:
    """What the driver writes into a statement without bending it."""
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).isoformat(sep=" ")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value) if isinstance(value, Decimal | date | time) else value
