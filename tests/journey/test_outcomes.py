"""How a run ends when the server does not go along: by a name, with what to do about it, and without a row delivered.

The next run delivers every row once. What a connector makes of each refusal is in the connectors' own tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest

from resources.databases import mysql_session, postgres
from resources.databases.base import Query
from resources.databases.mysql import MySQLSnapshot
from resources.databases.postgres import PostgresSnapshot
from tests.journey.sources import Source, declared
from tests.resources.databases.subjects import MySQLSubject, PostgresSubject, Subject
from tests.servers.mariadb import running_mariadb
from tests.servers.postgres import running_postgres

DAYS = ("2024-01-01", "2024-01-02")
CURSOR = {"by": "time", "column": "at", "key": "id", "timezone": "UTC", "nulls": "exclude"}
COLUMNS = {"id": "integer", "at": "moment", "note": "text"}
ROWS = [(number, datetime(2024, 1, 1 + number // 3, 12), "n") for number in range(6)]  # noqa: DTZ001
BIG = "INSERT INTO events SELECT i + 100, '2024-01-01 12:00:00', REPEAT('x', 60000) FROM {}"

SNAPSHOTS: Mapping[str, Any] = {"postgres": PostgresSnapshot, "mysql": MySQLSnapshot}
RETYPED = {
    "postgres": "ALTER TABLE events ALTER note TYPE varchar(9)",
    "mysql": "ALTER TABLE events MODIFY note varchar(9)",
}
OTHERS = {
    "postgres": "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = DATABASE()",
}
END = {"postgres": "SELECT pg_terminate_backend({}, 5000)", "mysql": "KILL CONNECTION {}"}
LOCK = {"postgres": ("BEGIN", "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"), "mysql": ("LOCK TABLES events WRITE",)}
PATIENCE: Mapping[str, tuple[dict[str, str], str, str]] = {
    "postgres": (postgres.SESSION, "lock_timeout", "300ms"),
    "mysql": (mysql_session.SESSION, "lock_wait_timeout", "1"),
}
"""Where each says how long it waits for a lock, and the shortest wait that it knows."""

SLOW = {
    "postgres": "CREATE VIEW slow AS SELECT e.* FROM events e WHERE pg_sleep(0.5) IS NOT NULL",
    "mysql": "CREATE VIEW slow AS SELECT e.* FROM events e WHERE SLEEP(0.5) = 0",
}


@pytest.fixture(params=["postgres", "mysql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """A project on each, with three rows a day."""
    found = Source.of(request.param, request.getfixturevalue(request.param), tmp_path)
    found.make(COLUMNS, ROWS)
    found.declare(cursor=CURSOR)
    return found


def refused(source: Source, *words: str, retriable: bool = True, key: str = DAYS[0], **how: Any) -> None:
    """One run whose window fails with those words, and delivers nothing."""
    (outcome,) = source.trial.run(key, **how)
    assert (outcome.state, outcome.exit_code, outcome.retriable) == ("failed", 1, retriable), outcome.detail
    assert source.trial.files("parquet", key) == []
    for each in words:
        assert each in outcome.detail


def where(source: Source) -> str:
    """The place as messages name it."""
    return str(source.subject.database.where)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "named"),
    [(RETYPED, "'note' was"), (dict.fromkeys(RETYPED, "ALTER TABLE events DROP note"), "'note' (text) is gone")],
)
def test_the_columns_change_between_windows(source: Source, change: Mapping[str, str], named: str) -> None:
    """A column that is gone or retyped stops the next window by its name, until a person accepts it."""
    assert source.deliver(DAYS[0]) == [[0, 1, 2]]
    source.subject.run(change[source.name])
    refused(source, "rows.yaml:", DAYS[0], named, "--accept-columns", key=DAYS[1], retriable=False)
    assert source.deliver(DAYS[1], accept_columns=True) == [[3, 4, 5]]


@pytest.mark.parametrize("packs", [{}, {"batch_rows": 50}])
def test_the_connection_is_ended_amid_the_rows(source: Source, packs: dict[str, Any]) -> None:
    """What came before the end is not delivered, whether it is amid one statement or between two."""
    source.subject.run(BIG.format(source.subject.series.format(rows=400)))
    source.declare(cursor=CURSOR, **packs)
    with amid(SNAPSHOTS[source.name], lambda: end_others(source)):
        refused(source, where(source), "connection")
    assert source.deliver(DAYS[0]) == [[0, 1, 2, *range(101, 501)]]


@contextmanager
def amid(kind: Any, happens: Callable[[], object]) -> Iterator[None]:
    """Let something happen after the first batch of a read, before the source is asked for more."""

    def reading(snapshot: Any, query: Query) -> Iterator[pa.RecordBatch]:
        batches = read(snapshot, query)
        yield next(batches)
        happens()
        yield from batches

    with pytest.MonkeyPatch.context() as patch:
        read = kind.read
        patch.setattr(kind, "read", reading)
        yield


def end_others(source: Source) -> None:
    """End every other connection to the database."""
    with source.session() as ask:
        for (number,) in ask(OTHERS[source.name]):
            ask(END[source.name].format(number))


def test_a_lock_is_held(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that somebody else has locked is waited for no longer than a minute."""
    settings, name, shortest = PATIENCE[source.name]
    assert settings[name] in {"60", "60s"}
    monkeypatch.setitem(settings, name, shortest)
    with source.session() as ask:
        for statement in LOCK[source.name]:
            ask(statement)
        refused(source, where(source), "somebody else has the table locked")
    assert source.deliver(DAYS[0]) == [[0, 1, 2]]


def test_a_statement_takes_too_long(source: Source) -> None:
    """A reading is ended by the server after the connector's `statement_timeout`; with more time it is delivered."""
    source.subject.run(SLOW[source.name])
    settings = declared(source.subject)
    source.trial.connect(settings | {"statement_timeout": "1s"})
    source.declare(cursor=CURSOR, table="slow")
    refused(source, where(source), "see the connector's `statement_timeout`")
    source.trial.connect(settings)
    assert source.deliver(DAYS[0]) == [[0, 1, 2]]


def test_a_deadlock(postgres: PostgresSubject, tmp_path: Path) -> None:
    """A reading that the server ends to resolve a deadlock may be tried again."""
    source = Source.of("postgres", postgres, tmp_path)
    for table in ("events", "others"):
        source.make(COLUMNS, ROWS, table)
    source.declare(cursor=CURSOR, sql="SELECT a.* FROM events a JOIN others b ON b.id = a.id")
    with source.session() as ask, source.session() as look, ThreadPoolExecutor() as pool:
        for statement in ("SET deadlock_timeout = '1h'", "BEGIN", "LOCK TABLE others"):
            ask(statement)
        run = pool.submit(refused, source, where(source), "to end a deadlock")
        while not list(look("SELECT 1 FROM pg_locks WHERE NOT granted")):
            time.sleep(0.01)
        ask("LOCK TABLE events")
        run.result()
    assert source.deliver(DAYS[0]) == [[0, 1, 2]]


@contextmanager
def postgres_in(folder: Path) -> Iterator[Subject]:
    """A PostgreSQL of the test's own, whose data stays in a folder."""
    with running_postgres(folder) as server:
        yield PostgresSubject(server.url())


@contextmanager
def mariadb_in(folder: Path) -> Iterator[Subject]:
    """A MariaDB likewise."""
    with running_mariadb(folder, "--innodb-flush-log-at-trx-commit=1") as server:  # it is ended by a kill
        server.execute("CREATE DATABASE IF NOT EXISTS test_restarted")
        yield MySQLSubject(server, "test_restarted")


@pytest.mark.parametrize(("name", "serving"), [("postgres", postgres_in), ("mysql", mariadb_in)])
def test_the_server_is_restarted_between_windows(
    name: str, serving: Callable[[Path], AbstractContextManager[Subject]], tmp_path: Path
) -> None:
    """The window that was delivered stays so; the one that met no server is delivered when there is one again."""
    with TemporaryDirectory(prefix="outgate-restarted-") as folder:
        with serving(Path(folder)) as subject:
            source = Source.of(name, subject, tmp_path)
            source.make(COLUMNS, ROWS)
            source.declare(cursor=CURSOR)
            assert source.deliver(DAYS[0]) == [[0, 1, 2]]
        refused(source, where(source), "nothing listens there", key=DAYS[1])
        with serving(Path(folder)) as subject:
            source.trial.connect(declared(subject))
            outcomes = source.trial.run(*DAYS)
    assert [(each.state, each.skipped) for each in outcomes] == [("done", True), ("done", False)]
    assert source.trial.column() == [0, 1, 2, 3, 4, 5]
