"""Who could still commit rows to MariaDB: what is listed, since when, what makes it blind, which ids come in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.err import OperationalError

from resources.databases import mysql_activity
from resources.databases.base import Activity
from resources.databases.mysql import MariaDB
from resources.databases.mysql_activity import STARTED, Waits
from tests.resources.databases.reading import relation
from tests.resources.databases.subjects import MySQLSubject
from tests.servers.mariadb import MariaDBServer, running_mariadb

TABLE = "CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, at timestamp(6) NOT NULL DEFAULT now(6))"
INSERT = "INSERT INTO t () VALUES ()"
STUCK = "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE '%metadata lock%' AND info LIKE 'INSERT%'"
SLEEPING = "information_schema.processlist WHERE state = 'User sleep'"
SEQUENTIAL = [
    ("v int AUTO_INCREMENT PRIMARY KEY)", True),
    ("v bigint unsigned AUTO_INCREMENT, PRIMARY KEY (w, v), KEY (v))", True),
    ("v int AUTO_INCREMENT PRIMARY KEY) ENGINE = Aria", False),
    ("v int PRIMARY KEY)", False),
    ("v bigint DEFAULT nextval(loose))", False),
    ("v bigint DEFAULT (floor(rand() * 1000)))", False),
]


@pytest.fixture
def rows(mysql: MySQLSubject) -> MySQLSubject:
    """A database with the table `t`."""
    mysql.run(TABLE)
    return mysql


def near(passed: timedelta) -> bool:
    """Whether a start in whole seconds, of a clock that is some milliseconds slow, is that of a moment."""
    return timedelta(0) <= passed < timedelta(seconds=1.5)


@contextmanager
def writing(subject: MySQLSubject, *statements: str) -> Iterator[Connection]:
    """A session of the owner in which these were run, in a transaction that is rolled back."""
    with subject.server.connect(subject.name, autocommit=False) as session:
        for statement in statements:
            session.query(statement)
        yield session


def asked(session: Connection, statement: str) -> Any:
    """The first value of the answer."""
    with session.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another session brings about."""
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come about")


def test_an_open_transaction_is_listed(rows: MySQLSubject) -> None:
    """A transaction is open from its first touch of a table, under one name though it begins to write, until it ends."""
    with writing(rows, "BEGIN") as writer:
        assert rows.database.activity().open == frozenset()
        begun = asked(writer, "SELECT NOW(6) FROM (SELECT COUNT(*) FROM t) AS q").replace(tzinfo=UTC)
        found = rows.database.activity()
        assert found.oldest is not None
        assert near(begun - found.oldest)
        assert found.open == {f"{writer.thread_id()}/{found.oldest.isoformat()}"}
        assert f"connection {writer.thread_id()} (owner, Sleep), open for" in found.detail
        writer.query(INSERT)
        assert rows.database.activity().open == found.open
    ended = rows.database.activity()
    assert (ended.open, ended.oldest, ended.blind, ended.remedy) == (frozenset(), None, "", "")


def test_the_oldest_of_several(rows: MySQLSubject) -> None:
    """The oldest is the earliest start; every open one is listed."""
    with writing(rows, INSERT) as first:
        start = asked(first, "SELECT at FROM t").replace(tzinfo=UTC)
        until(lambda: datetime.now(UTC) - start > timedelta(seconds=1.5))
        with writing(rows, INSERT):
            found = rows.database.activity()
    assert found.oldest is not None
    assert near(start - found.oldest)
    assert len(found.open) == 2


def test_what_cannot_write_is_not_listed(rows: MySQLSubject) -> None:
    """Idle sessions, transactions that only read, and long statements that only read hold nothing up."""
    rows.run(INSERT)
    only_reading = ("START TRANSACTION READ ONLY", "SELECT * FROM t")
    with writing(rows, *only_reading), rows.server.connect(rows.name) as reader, ThreadPoolExecutor(1) as pool:
        read = pool.submit(reader.query, "SELECT id, SLEEP(60) FROM t")
        until(lambda: asked(rows.server.connect(), f"SELECT COUNT(*) FROM {SLEEPING}") == 1)
        found = rows.database.activity()
        rows.server.execute(f"KILL QUERY {reader.thread_id()}")
        with pytest.raises(OperationalError, match="interrupted"):
            read.result(10)
    assert (found.open, found.oldest) == (frozenset(), None)


def test_the_servers_zone_does_not_matter(rows: MySQLSubject) -> None:
    """INNODB_TRX speaks in the server's own zone, which is not UTC here; an hour that comes twice is the earlier one."""
    assert asked(rows.server.connect(), "SELECT @@system_time_zone") in {"EST", "EDT"}
    hours = {"2026-07-01 12:00:00": 16, "2026-12-01 12:00:00": 17, "2026-11-01 00:30:00": 4, "2026-11-01 01:30:00": 5}
    with rows.server.connect(rows.name) as session:
        found = {text: asked(session, "SELECT " + STARTED.format(f"CAST('{text}' AS datetime)")).hour for text in hours}
    assert found == hours


@contextmanager
def behind_a_lock(subject: MySQLSubject) -> Iterator[tuple[Connection, Callable[[], None]]]:
    """A session whose first INSERT waits for a table's lock, and what lets it go on; its transaction stays open."""
    with writing(subject) as blocked, subject.server.connect(subject.name) as locker, ThreadPoolExecutor(1) as pool:
        locker.query("LOCK TABLES t WRITE")
        waits = pool.submit(blocked.query, INSERT)
        until(lambda: asked(subject.server.connect(), STUCK) == 1)

        def release() -> None:
            locker.query("UNLOCK TABLES")
            waits.result(10)

        yield blocked, release


def test_a_statement_that_waits_for_a_lock(rows: MySQLSubject) -> None:
    """It has no transaction yet and counts from its own start, which is what NOW() says in it."""
    with behind_a_lock(rows) as (blocked, release):
        found = rows.database.activity()
        release()
        stamp = asked(blocked, "SELECT at FROM t").replace(tzinfo=UTC)
    assert found.oldest is not None
    assert timedelta(0) <= stamp - found.oldest < timedelta(milliseconds=100)
    assert f"connection {blocked.thread_id()} (owner, Waiting for table metadata lock)" in found.detail


@pytest.mark.parametrize("remembers", [True, False], ids=["", "control"])
def test_a_transaction_whose_first_statement_had_waited(
    rows: MySQLSubject, remembers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are older than its start: it counts from the wait that was seen. The control has not seen it."""
    monkeypatch.setattr(mysql_activity, "WAITS", Waits())
    with behind_a_lock(rows) as (blocked, release):
        first = rows.database.activity()
        until(lambda: datetime.now(UTC) - first.clock > timedelta(seconds=2))
        if not remembers:
            monkeypatch.setattr(mysql_activity, "WAITS", Waits())
        release()
        stamp = asked(blocked, "SELECT at FROM t").replace(tzinfo=UTC)
        found = [rows.database.activity() for _ in range(2)]
        blocked.commit()
        assert rows.database.activity().oldest is None
    assert [each.oldest is not None and each.oldest <= stamp for each in found] == [remembers, remembers]


def test_a_list_that_others_keep_old(rows: MySQLSubject) -> None:
    """INNODB_TRX is not renewed while others read it all the time: then nothing is relied on. The control: it is old."""
    over = threading.Event()

    def look(session: Connection) -> None:
        while not over.wait(0.01):
            asked(session, "SELECT COUNT(*) FROM information_schema.innodb_trx")

    with rows.server.connect() as watcher, rows.server.connect() as other, ThreadPoolExecutor(1) as pool:
        future = pool.submit(look, watcher)
        until(future.running)
        try:
            with writing(rows, INSERT):
                listed = asked(other, "SELECT COUNT(*) FROM information_schema.innodb_trx")
                found = rows.database.activity()
        finally:
            over.set()
            future.result(10)
    assert listed == 0
    assert "does not renew it" in found.blind
    assert rows.database.activity().blind == ""


def granted(rows: MySQLSubject, monkeypatch: pytest.MonkeyPatch, *grants: str) -> tuple[Activity, Activity]:
    """What an account with these grants sees of an open transaction, and what it sees after the remedy."""
    monkeypatch.setenv("WATCHER", "w-secret")
    rows.server.account("watcher", "w-secret", f"SELECT ON {rows.name}.*", *grants)
    database = MariaDB(**rows.settings | {"user": "watcher", "password": {"env": "WATCHER"}})
    with writing(rows, INSERT):
        before = database.activity()
        rows.server.execute(before.remedy)
        return before, database.activity()


def test_blind_without_the_privileges(rows: MySQLSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PROCESS nothing of others is seen: `blind` says so, and `remedy` is all that it takes."""
    before, after = granted(rows, monkeypatch)
    assert (before.open, before.oldest) == (frozenset(), None)
    assert "GRANT PROCESS" in before.blind
    assert before.remedy == "GRANT PROCESS, SLAVE MONITOR ON *.* TO `watcher`@`%`;"
    assert (len(after.open), after.blind, after.remedy) == (1, "", "")


def test_blind_to_replication(rows: MySQLSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not see whether the server is a replica is told which right is missing."""
    before, after = granted(rows, monkeypatch, "PROCESS ON *.*")
    assert len(before.open) == 1
    assert "GRANT SLAVE MONITOR" in before.blind
    assert before.remedy == "GRANT SLAVE MONITOR ON *.* TO `watcher`@`%`;"
    assert after.blind == ""


CAUSES = {
    "is a replica": ("CHANGE MASTER TO MASTER_HOST = 'nowhere.invalid', MASTER_USER = 'x'", "RESET SLAVE ALL"),
    "is read-only": ("SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF"),
}


@pytest.mark.parametrize("why", CAUSES)
def test_blind_on_a_replica(rows: MySQLSubject, why: str) -> None:
    """On a replica, though it stands still, and on a server that is read-only, rows come from elsewhere."""
    cause, end = CAUSES[why]
    rows.server.execute(cause)
    try:
        assert why in rows.database.activity().blind
    finally:
        rows.server.execute(end)
    assert rows.database.activity().blind == ""


def test_blind_where_innodb_only_reads() -> None:
    """A server that shares the storage of another is read-only in its engine alone."""
    with running_mariadb(None, "--innodb-read-only") as server:
        assert "is read-only" in MySQLSubject(server, "information_schema").database.activity().blind


def test_blind_to_prepared_transactions(rows: MySQLSubject) -> None:
    """A prepared transaction is listed while it has its session; without one its presence makes the list useless."""
    session = rows.server.connect(rows.name)
    for statement in ("XA START 'one'", INSERT, "XA END 'one'"):
        session.query(statement)
    open_before = rows.database.activity().open
    session.query("XA PREPARE 'one'")
    assert rows.database.activity().open == open_before
    session.close()
    try:
        gone = f"SELECT COUNT(*) FROM information_schema.processlist WHERE id = {session.thread_id()}"
        until(lambda: asked(rows.server.connect(), gone) == 0)
        found = rows.database.activity()
    finally:
        rows.server.execute("XA ROLLBACK 'one'")
    assert len(open_before) == 1
    assert "prepared XA transactions" in found.blind
    assert rows.database.activity().blind == ""


def test_blind_to_other_engines(rows: MySQLSubject) -> None:
    """An engine that has transactions of its own counts when there is a table of it."""
    rows.server.execute("INSTALL SONAME 'ha_federatedx'")
    try:
        assert rows.database.activity().blind == ""
        rows.server.account("remote", "r-secret", f"SELECT ON {rows.name}.*")
        place = f"mysql://remote:r-secret@127.0.0.1:{rows.server.port}/{rows.name}/t"
        rows.server.execute(f"CREATE TABLE f ENGINE = FEDERATED CONNECTION = '{place}'", database=rows.name)
        assert "tables of FEDERATED" in rows.database.activity().blind
        rows.server.execute("DROP TABLE f", database=rows.name)
    finally:
        rows.server.execute("UNINSTALL SONAME 'ha_federatedx'")


def test_blind_to_delayed_inserts(rows: MySQLSubject) -> None:
    """INSERT DELAYED writes later than it says."""
    rows.run("CREATE TABLE m (id int) ENGINE = MyISAM")
    rows.run("INSERT DELAYED INTO m VALUES (1)")
    assert "INSERT DELAYED" in rows.database.activity().blind
    rows.server.execute("FLUSH TABLES")
    until(lambda: rows.database.activity().blind == "")


def test_the_server_is_named_by_its_identity(rows: MySQLSubject, mariadb_server: MariaDBServer) -> None:
    """It does not depend on the name by which it was reached."""
    [(identity,)] = mariadb_server.execute("SELECT @@server_uid")
    here = rows.database.activity().server
    assert here == MariaDB(**rows.settings | {"host": "localhost"}).activity().server == f"{identity}/{rows.name}"


@pytest.mark.parametrize(("declared", "expected"), SEQUENTIAL, ids=[declared for declared, _ in SEQUENTIAL])
def test_sequential(mysql: MySQLSubject, declared: str, expected: bool) -> None:
    """Only an AUTO_INCREMENT column of an InnoDB table is one by one."""
    mysql.run("CREATE SEQUENCE loose")
    mysql.run(f'CREATE TABLE "we`ird t" (w int, {declared}')
    database = mysql.database
    assert database.sequential(relation(database, "`we``ird t` AS alias"), "v") is expected
    assert not database.sequential(relation(database, "`we``ird t`"), "w")
    assert not database.sequential(relation(database, "(SELECT * FROM `we``ird t`) AS q"), "v")


def test_ids_in_steps(rows: MySQLSubject) -> None:
    """A server that counts in steps is one of several, whose ids do not come in order."""
    table = relation(rows.database, "t")
    rows.server.execute("SET GLOBAL auto_increment_increment = 2")
    try:
        assert not rows.database.sequential(table, "id")
    finally:
        rows.server.execute("SET GLOBAL auto_increment_increment = 1")
    assert rows.database.sequential(table, "id")
