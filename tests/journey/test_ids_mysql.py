"""Cursors by id on MariaDB: which ids a range waits for, and where the receipt may say `gate`.

How ranges are fixed, kept and handed on does not depend on the database: see test_ids.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymysql.connections import Connection

from tests.journey.test_ids import DAYS, Broken, Meanwhile, declare, deliver, ids
from tests.journey.test_late_commits_mysql import mariadb
from tests.journey.trial import Trial
from tests.servers.mariadb import MariaDBServer

TABLE = "CREATE TABLE `rows` (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, note text)"
ONE_MORE = "INSERT INTO `rows` (note) VALUES ('x')"
TEN = "INSERT INTO `rows` (note) SELECT 'x' FROM seq_1_to_10"


@pytest.fixture
def source(mariadb_server: MariaDBServer, mariadb_name: str) -> Iterator[Connection]:
    """A session of the owner; the table has the ids 1 to 10."""
    with mariadb_server.connect(mariadb_name) as session:
        session.query(TABLE)
        session.query(TEN)
        yield session


@pytest.fixture
def rows(tmp_path: Path, mariadb_server: MariaDBServer, mariadb_name: str, source: Connection) -> Trial:
    """A project on that table, declared by id."""
    trial = Trial.of(tmp_path, mariadb(mariadb_server, mariadb_name))
    declare(trial)
    return trial


def word(trial: Trial, key: str) -> object:
    """How the receipt knows that no lower id can come."""
    return (trial.record(key).horizon or {})["kind"]


def test_the_gate(rows: Trial, source: Connection) -> None:
    """Ids of AUTO_INCREMENT are read as far as they are, under the gate, and each key takes what came since."""
    assert deliver(rows, DAYS[0]) == ids(1, 10)
    source.query(ONE_MORE)
    highest = rows.column(key=DAYS[0])[-1]
    [new] = deliver(rows, DAYS[1])
    assert new > highest
    assert [word(rows, key) for key in DAYS[:2]] == ["gate", "gate"]


def test_an_id_that_loses_its_session(
    rows: Trial, source: Connection, mariadb_server: MariaDBServer, mariadb_name: str
) -> None:
    """A transaction that we wait for, and that is prepared and left meanwhile, has not ended: no `gate`."""
    session = mariadb_server.connect(mariadb_name)
    for statement in ("XA START 'three'", ONE_MORE, "XA END 'three'"):
        session.query(statement)
    source.query(ONE_MORE)

    def leave() -> None:
        session.query("XA PREPARE 'three'")
        session.close()

    declare(rows, lag="0s")
    try:
        deliver(rows, DAYS[0], reporter=Meanwhile(leave))
    finally:
        mariadb_server.execute("XA ROLLBACK 'three'")
    assert word(rows, DAYS[0]) == "lag"


@pytest.mark.parametrize(
    ("statement", "kind"),
    [("SELECT 1", "gate"), ("ALTER TABLE `rows` MODIFY id bigint unsigned", "lag")],
)
def test_ids_of_the_application(rows: Trial, source: Connection, statement: str, kind: str) -> None:
    """Only ids that the database hands out allow the gate, at the first attempt and at a retry."""
    source.query(statement)
    declare(rows, lag="0s")
    rows.run(DAYS[0], reporter=Broken())
    assert deliver(rows, DAYS[0]) == ids(1, 10)
    assert word(rows, DAYS[0]) == kind
