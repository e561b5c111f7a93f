"""The horizon gate, its fallback to the declared lag, and what both say: in the receipt, and in the refusal to read.

That the gate loses nothing under load is shown in test_late_commits.py; here each reason stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
import pytest
from psycopg.rows import TupleRow

from resources.databases import postgres_catalog as catalog
from tests.journey.seconds import Seconds, put
from tests.journey.trial import Told, Trial, postgres
from tests.servers.postgres import PASSWORD, PostgresServer

TABLE = "CREATE TABLE rows (id bigserial PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now())"
OLD = "INSERT INTO rows (updated_at) VALUES ('2024-01-01 12:00Z')"
CURSOR = {"by": "time", "column": "updated_at", "key": "id", "stamped_by": "database"}
DAY = "2024-01-01"
FIRST = "000000"

Session = psycopg.Connection[TupleRow]


@pytest.fixture
def rows(trial: Trial, source: Session) -> Trial:
    """A project on a table with one old row, declared by time with the stamps of the database."""
    source.execute(TABLE)
    source.execute(OLD)
    declare(trial)
    return trial


def declare(trial: Trial, **cursor: Any) -> None:
    """Declare the export with some settings of its cursor."""
    trial.declare({"table": "rows", "cursor": CURSOR | cursor})


@contextmanager
def second(url: str) -> Iterator[Session]:
    """One more session of the owner, in a transaction of its own."""
    with psycopg.connect(url) as session:
        yield session
        session.rollback()


def horizon(trial: Trial) -> tuple[object, str]:
    """The receipt's word and reason after the old day was delivered."""
    (outcome,) = trial.run(DAY)
    assert outcome.good, outcome.detail
    found = trial.record(DAY).horizon or {}
    return found["kind"], str(found["detail"])


def test_the_gate_is_said(rows: Trial) -> None:
    """Where the database stamps and lets us see who writes, the receipt says `gate`."""
    assert horizon(rows)[0] == "gate"


def test_a_role_that_is_blind(rows: Trial, source: Session, postgres_server: PostgresServer, postgres_url: str) -> None:
    """Without pg_read_all_stats the receipt says `lag`, and which right is missing."""
    postgres_server.role("blind", PASSWORD, sees_activity=False)
    source.execute("GRANT SELECT ON rows TO blind")
    rows.connect(postgres(postgres_url, user="blind"))
    word, why = horizon(rows)
    assert word == "lag"
    assert "pg_read_all_stats" in why


@contextmanager
def prepared(url: str, source: Session) -> Iterator[None]:
    """A prepared transaction that has inserted a row, rolled back at the end: it would keep the database from going."""
    with second(url) as session:
        session.execute("INSERT INTO rows DEFAULT VALUES")
        session.execute("PREPARE TRANSACTION 'one'")
    try:
        yield
    finally:
        source.execute("ROLLBACK PREPARED 'one'")


def test_a_prepared_transaction(rows: Trial, source: Session, postgres_url: str) -> None:
    """While a prepared transaction waits for its commit the receipt says `lag`, and why."""
    with prepared(postgres_url, source):
        word, why = horizon(rows)
    assert word == "lag"
    assert "prepared transactions" in why


@dataclass
class Meddling:
    """A session beside which something happens before one of its statements."""

    session: Session
    before: int
    happens: Callable[[], object]
    asked: int = 0

    def execute(self, statement: bytes, parameters: object = None) -> psycopg.Cursor[TupleRow]:
        """Let it happen when its time has come, then ask."""
        if self.asked == self.before:
            self.happens()
        self.asked += 1
        return self.session.execute(statement, None if parameters is None else list(parameters))  # type: ignore[call-overload]


def test_a_transaction_is_prepared_while_we_look(rows: Trial, source: Session, postgres_url: str) -> None:
    """Whenever an open transaction becomes a prepared one, the activity shows it as one or as the other."""
    moment, asked = 0, 1
    while moment < asked:
        with second(postgres_url) as session:
            session.execute("INSERT INTO rows DEFAULT VALUES")
            meddling = Meddling(source, moment, lambda: session.execute("PREPARE TRANSACTION 'two'"))
            found = catalog.activity(cast("Session", meddling), "here")
            source.execute("ROLLBACK PREPARED 'two'")
        assert found.open or found.blind, f"seen by none of {meddling.asked} questions, prepared before {moment}"
        moment, asked = moment + 1, meddling.asked


def test_stamps_of_the_application(rows: Trial) -> None:
    """Stamps that an application sets allow no gate: the receipt says `lag`, why, and how long it is."""
    declare(rows, stamped_by="application", lag="7m")
    word, why = horizon(rows)
    assert word == "lag"
    assert "stamped by the application" in why
    assert "7m" in why


def test_a_window_beyond_the_horizon(rows: Trial) -> None:
    """Today's window is not read before today is over: exit code 3, the window stays planned, no row was read."""
    declare(rows, wait="0s")
    told, today = Told(), f"{datetime.now(UTC):%Y-%m-%d}"
    (outcome,) = rows.run(today, reporter=told)
    assert (outcome.exit_code, outcome.state) == (3, "planned")
    assert "not yet" in outcome.detail
    assert (told.rows, rows.files("parquet")) == (0, [])


def test_an_older_transaction_holds_the_window_back(
    rows: Trial, source: Session, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an older transaction is open its window is not read and its pid is named; then its row is in the window."""
    with second(postgres_url) as session:
        late = session.execute("INSERT INTO rows DEFAULT VALUES RETURNING id, updated_at").fetchone()
        assert late
        put(monkeypatch, {"time": Seconds(late[1] - timedelta(milliseconds=1))})
        declare(rows, wait="3s")
        told = Told()
        (outcome,) = rows.run(FIRST, reporter=told)
        assert (outcome.exit_code, told.rows) == (3, 0)
        assert f"pid {session.info.backend_pid} " in outcome.detail
        session.commit()
    assert all(outcome.good for outcome in rows.run(FIRST))
    assert rows.column(key=FIRST) == [late[0]]


def test_without_the_gate_that_row_is_lost(rows: Trial, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with a lag of nothing the same window is read while the transaction is open, and misses its row."""
    with second(postgres_url) as session:
        late = session.execute("INSERT INTO rows DEFAULT VALUES RETURNING id, updated_at").fetchone()
        assert late
        put(monkeypatch, {"time": Seconds(late[1] - timedelta(milliseconds=1))})
        declare(rows, stamped_by="application", lag="0s")
        assert all(outcome.good for outcome in rows.run(FIRST))
        session.commit()
    assert rows.column(key=FIRST) == []
    assert [outcome.skipped for outcome in rows.run(FIRST)] == [True]
