"""The fixtures of the journey's proofs: the password in its variable, and a project on a fresh PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from tests.journey.trial import Trial
from tests.journey.trial import postgres as declared
from tests.resources.databases.conftest import duck, lite, mysql, postgres
from tests.resources.databases.subjects import PASSWORD_VARIABLE
from tests.servers.postgres import PASSWORD

__all__ = ["duck", "lite", "mysql", "postgres"]


@pytest.fixture(autouse=True, scope="session")
def _password() -> Iterator[None]:
    """The password of the source's owner, where the connector looks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASSWORD_VARIABLE, PASSWORD)
        yield


@pytest.fixture
def source(postgres_url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A session of the source's owner; every statement commits by itself."""
    with psycopg.connect(postgres_url, autocommit=True) as session:
        yield session


@pytest.fixture
def trial(tmp_path: Path, postgres_url: str) -> Trial:
    """A project whose source is the fresh database."""
    return Trial.of(tmp_path, declared(postgres_url))
