"""The fixtures of the databases' tests: one subject a database, and the passwords in their variables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resources.databases.subjects import (
    PASSWORD_VARIABLE,
    WRONG,
    WRONG_VARIABLE,
    DuckDBSubject,
    MySQLSubject,
    PostgresSubject,
    SQLiteSubject,
    Subject,
)
from tests.resources.databases.subjects_by_url import (
    OracleSubject,
    SqlServerSubject,
    oracle_subject,
    sqlserver_subject,
)
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgres import PASSWORD


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right and the wrong password, where the connectors look for them."""
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setenv(WRONG_VARIABLE, WRONG)


@pytest.fixture
def postgres(postgres_url: str) -> PostgresSubject:
    """A fresh PostgreSQL database."""
    return PostgresSubject(postgres_url)


@pytest.fixture
def duck(tmp_path: Path) -> DuckDBSubject:
    """A fresh DuckDB file."""
    return DuckDBSubject(tmp_path / "source.duckdb")


@pytest.fixture
def lite(tmp_path: Path) -> SQLiteSubject:
    """A fresh SQLite file."""
    return SQLiteSubject(tmp_path / "source.sqlite")


@pytest.fixture
def mysql(mariadb_server: MariaDBServer, mariadb_name: str) -> Iterator[MySQLSubject]:
    """A fresh MariaDB database."""
    yield MySQLSubject(mariadb_server, mariadb_name)
    mariadb_server.execute(*(f"DROP DATABASE IF EXISTS {name}" for name in MySQLSubject.schemas))


@pytest.fixture
def sqlserver() -> Iterator[SqlServerSubject]:
    """A fresh database of the SQL Server that a URL names."""
    with sqlserver_subject() as found:
        yield found


@pytest.fixture
def oracle() -> Iterator[OracleSubject]:
    """A fresh schema of the Oracle that a URL names."""
    with oracle_subject() as found:
        yield found


@pytest.fixture(params=["postgres", "duck", "lite", "mysql", "sqlserver", "oracle"])
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each database in turn: a new one is a class in subjects.py, a fixture above, and its name here."""
    found: Subject = request.getfixturevalue(request.param)
    return found
