"""Cursors by id: how ranges are fixed, kept and handed on, and which ids a range waits for.

That nothing is lost under load is shown in test_late_commits.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from spec.errors import ConnectorError
from tests.journey.trial import Told, Trial

TABLE = "CREATE TABLE rows (id bigserial PRIMARY KEY, note text)"
MORE = "INSERT INTO rows (note) SELECT 'x' FROM generate_series(1, %s)"
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
LATER = "2024-01-09"

Session = psycopg.Connection[TupleRow]


@pytest.fixture
def rows(trial: Trial, source: Session) -> Trial:
    """A project on a table with the ids 1 to 10, declared by id."""
    source.execute(TABLE)
    source.execute(MORE, [10])
    declare(trial)
    return trial


def declare(trial: Trial, **cursor: Any) -> None:
    """Declare the export with some settings of its cursor."""
    trial.declare(
        {"table": "rows", "cursor": {"by": "id", "column": "id", "stamped_by": "database", "wait": "5s"} | cursor}
    )


def deliver(trial: Trial, key: str, **how: Any) -> list[int]:
    """Run one window; its delivered ids."""
    (outcome,) = trial.run(key, **how)
    assert outcome.good, outcome.detail
    return trial.column(key=key)


def ids(first: int, last: int) -> list[int]:
    """All ids from the first to the last."""
    return list(range(first, last + 1))


class Meanwhile(Told):
    """Lets something happen when the product first says what it waits for."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = happens

    def say(self, text: str) -> None:
        """Let it happen, once."""
        if not self.said:
            self._happens()
        super().say(text)


class Broken(Told):
    """Fails when the first rows arrive."""

    def read(self, rows: int, size: int) -> None:
        """Fail."""
        raise ConnectorError(f"the source went away after {rows} rows, {size} bytes", retriable=True)


def test_the_first_key_takes_the_whole_history(rows: Trial, source: Session) -> None:
    """The first key delivers everything that was there, each later one what came since, and the ledger keeps both."""
    assert deliver(rows, DAYS[0]) == ids(1, 10)
    source.execute(MORE, [5])
    assert deliver(rows, DAYS[1]) == ids(11, 15)
    assert deliver(rows, DAYS[2]) == []
    ranges = [(record.low_id, record.high_id) for record in map(rows.record, DAYS)]
    assert ranges == [(None, 10), (10, 15), (15, 15)]


def test_the_history_may_begin_later(rows: Trial) -> None:
    """With `start: 8` the first key begins at id 8."""
    declare(rows, start=8)
    assert deliver(rows, DAYS[0]) == ids(8, 10)


def test_a_skipped_key_is_empty(rows: Trial, source: Session) -> None:
    """The ids of a key that was skipped fall to the next; run later, the skipped key delivers nothing."""
    deliver(rows, DAYS[0])
    source.execute(MORE, [5])
    assert deliver(rows, DAYS[2]) == ids(11, 15)
    source.execute(MORE, [5])
    assert deliver(rows, DAYS[1]) == []


def test_a_run_settles_once(rows: Trial, source: Session) -> None:
    """Several keys of one run wait for one highest id; what comes meanwhile is the next run's, and skipped keys wait for
    nothing.
    """
    declare(rows, stamped_by="application", lag="1s")
    told = Meanwhile(lambda: source.execute(MORE, [5]))
    assert all(outcome.good for outcome in rows.run(DAYS[0], DAYS[1], reporter=told))
    assert len(told.said) == 1
    assert [rows.column(key=key) for key in DAYS[:2]] == [ids(1, 10), []]
    assert deliver(rows, LATER) == ids(11, 15)
    told = Meanwhile(lambda: None)
    assert all(outcome.good for outcome in rows.run(DAYS[2], reporter=told))
    assert (told.said, rows.column(key=DAYS[2])) == ([], [])


def test_a_retry_reuses_the_range(rows: Trial, source: Session) -> None:
    """An attempt that failed after the range was fixed is retried over that range; what came since is the next key's."""
    (outcome,) = rows.run(DAYS[0], reporter=Broken())
    assert not outcome.good
    source.execute(MORE, [5])
    assert deliver(rows, DAYS[0]) == ids(1, 10)
    assert deliver(rows, DAYS[1]) == ids(11, 15)


def test_a_new_generation_keeps_the_range(rows: Trial, source: Session) -> None:
    """Delivered again, a key has the ids that it had."""
    deliver(rows, DAYS[0])
    source.execute(MORE, [5])
    assert deliver(rows, DAYS[0], again="once") == ids(1, 10)
    assert rows.record(DAYS[0]).generation == 2


def test_an_id_taken_before_and_committed_after(rows: Trial, source: Session, postgres_url: str) -> None:
    """An id that a transaction without a transaction id has taken, and commits while we wait, is in the range."""
    with psycopg.connect(postgres_url) as session:
        taken = session.execute("SELECT nextval('rows_id_seq'), pg_current_xact_id_if_assigned()").fetchone()
        source.execute(MORE, [1])
        assert taken == (11, None)

        def commit() -> None:
            session.execute("INSERT INTO rows VALUES (11, 'late')")
            session.commit()

        assert deliver(rows, DAYS[0], reporter=Meanwhile(commit)) == ids(1, 12)


def test_an_id_that_is_prepared_meanwhile(rows: Trial, source: Session, postgres_url: str) -> None:
    """A transaction that we wait for and that is prepared meanwhile has not ended: the receipt does not say `gate`."""
    with psycopg.connect(postgres_url) as session:
        session.execute("INSERT INTO rows VALUES (nextval('rows_id_seq'), 'late')")
        source.execute(MORE, [1])
        declare(rows, lag="0s")
        try:
            deliver(rows, DAYS[0], reporter=Meanwhile(lambda: session.execute("PREPARE TRANSACTION 'three'")))
        finally:
            source.execute("ROLLBACK PREPARED 'three'")
    assert (rows.record(DAYS[0]).horizon or {})["kind"] == "lag"


@pytest.mark.parametrize(
    ("statement", "word"),
    [("SELECT 1", "gate"), ("ALTER SEQUENCE rows_id_seq CACHE 20", "lag")],
)
def test_ids_in_a_cache(rows: Trial, source: Session, statement: str, word: str) -> None:
    """Only ids that the database hands out one by one allow the gate, at the first attempt and at a retry."""
    source.execute(statement)
    declare(rows, lag="0s")
    rows.run(DAYS[0], reporter=Broken())
    assert deliver(rows, DAYS[0]) == ids(1, 10)
    assert deliver(rows, DAYS[1]) == []
    assert [(rows.record(key).horizon or {})["kind"] for key in DAYS[:2]] == [word, word]


def test_a_retry_waits_too(rows: Trial, source: Session, postgres_url: str) -> None:
    """A retry reads only when the transactions that are open then have ended, whatever the first attempt relied on."""
    rows.run(DAYS[0], reporter=Broken())
    with psycopg.connect(postgres_url) as session:
        session.execute("SELECT 1 FROM rows")
        told = Meanwhile(session.rollback)
        assert deliver(rows, DAYS[0], reporter=told) == ids(1, 10)
    assert told.said


@pytest.mark.parametrize("kind", ["numeric(12,2)", "numeric", "text", "timestamptz", "uuid"])
def test_an_id_that_is_no_whole_number(rows: Trial, source: Session, kind: str) -> None:
    """A cursor by id whose column is no whole number is refused with its name and type, and nothing is read."""
    source.execute(f"ALTER TABLE rows ADD other {kind}".encode())
    declare(rows, column="other", nulls="exclude")
    (outcome,) = rows.run(DAYS[0])
    assert outcome.exit_code == 2
    assert "'other'" in outcome.detail
    assert kind in outcome.detail or "timestamp" in outcome.detail
