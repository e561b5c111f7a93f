"""Fixtures that more than one folder of tests uses: the servers, started once a session. No helpers and no tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.servers.mariadb import MariaDBServer, running_mariadb
from tests.servers.postgres import PostgresServer, running_postgres
from tests.servers.seaweed import SeaweedServer, running_seaweed


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole session; its owner is a superuser."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, empty database as its owner; it is dropped after the test."""
    with postgres_server.database(f"test_{uuid.uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDBServer]:
    """One MariaDB for the whole session; its owner may do everything in databases called `test_...`."""
    with running_mariadb() as server:
        yield server


@pytest.fixture
def mariadb_name(mariadb_server: MariaDBServer) -> Iterator[str]:
    """The name of a fresh, empty database; it is dropped after the test."""
    with mariadb_server.database(f"test_{uuid.uuid4().hex[:12]}") as name:
        yield name


@pytest.fixture(scope="session")
def seaweed_server() -> Iterator[SeaweedServer]:
    """One SeaweedFS, with its S3 gateway, for the whole session."""
    with running_seaweed() as server:
        yield server
