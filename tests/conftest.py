"""Fixtures that more than one folder of tests uses: the servers, started once a session. No helpers and no tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.servers.azurite import Azurite, running_azurite
from tests.servers.gcs import GcsServer, running_gcs
from tests.servers.mariadb import MariaDBServer, running_mariadb
from tests.servers.postgres import PostgresServer, running_postgres
from tests.servers.proftpd import FTPServer, running_proftpd
from tests.servers.pyftpd import running_pyftpd
from tests.servers.seaweed import SeaweedServer, running_seaweed
from tests.servers.sshd import Sshd, running_sshd


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


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GcsServer]:
    """One stand-in for Google Cloud Storage for the whole session, with one bucket."""
    with running_gcs() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One Azurite for the whole session, on https."""
    with running_azurite() as server:
        yield server


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """One OpenSSH server for the whole session; tests take a `folder()` of it each."""
    with running_sshd() as server:
        yield server


@pytest.fixture(scope="session")
def proftpd_server() -> Iterator[FTPServer]:
    """One ProFTPD for the whole session: TLS, and its sessions taken up, are demanded."""
    with running_proftpd() as server:
        yield server


@pytest.fixture(scope="session")
def pyftpd_server() -> Iterator[FTPServer]:
    """One pyftpdlib for the whole session: plain FTP."""
    with running_pyftpd() as server:
        yield server
