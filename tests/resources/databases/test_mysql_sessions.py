"""How MySQL and MariaDB are spoken to: TLS, what a session is set to and may do, time-outs, and errors amid the rows."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resources.databases import mysql_session
from resources.databases.base import Database
from resources.databases.mysql import MariaDB
from spec.errors import ConnectorError
from tests.resources.databases.reading import query, relation, rows
from tests.resources.databases.subjects import PASSWORD_VARIABLE, MySQLSubject
from tests.servers.mariadb import MariaDBServer, running_mariadb

CIPHER = "(SELECT variable_value AS c FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher') AS q"
ENDLESS = "(SELECT seq AS n, REPEAT('x', 100) AS s FROM seq_1_to_5000000) AS q"


def changed(subject: MySQLSubject, **settings: Any) -> Database:
    """The connector with other settings."""
    return MariaDB(**subject.settings | settings)


@pytest.mark.parametrize(
    ("mode", "secret"),
    [("disabled", False), ("preferred", True), ("required", True), ("verify_ca", True), ("verify_identity", True)],
)
def test_tls(mysql: MySQLSubject, mode: str, secret: bool) -> None:
    """Every mode but `disabled` encrypts where the server can."""
    [found] = rows(changed(mysql, ssl_mode=mode), CIPHER)
    assert bool(found["c"]) is secret


def test_tls_is_verified(mysql: MySQLSubject) -> None:
    """By default the certificate must be trusted and name the host; `verify_ca` asks for the first alone."""
    assert MariaDB.model_fields["ssl_mode"].default == "verify_identity"
    with pytest.raises(ConnectorError, match="check `ssl_mode` and `ssl_ca`") as named:
        changed(mysql, host="127.0.0.2").tables()
    assert not named.value.retriable
    assert changed(mysql, host="127.0.0.2", ssl_mode="verify_ca").activity()
    with pytest.raises(ConnectorError, match="ssl_ca"):
        changed(mysql, ssl_mode="verify_ca", ssl_ca=None).tables()


def test_a_server_without_tls() -> None:
    """`required` and above refuse it before the password is used; `preferred` goes on without."""
    with running_mariadb(None, "--skip-ssl") as server, server.database("test_plain") as name:
        subject = MySQLSubject(server, name)
        for mode in ("required", "verify_ca", "verify_identity"):
            with pytest.raises(ConnectorError, match="SSL is required"):
                changed(subject, ssl_mode=mode).tables()
        assert rows(changed(subject, ssl_mode="preferred"), CIPHER) == [{"c": ""}]


@pytest.mark.parametrize(("clear", "encrypted"), [("ON", "Access denied"), ("OFF", "does not know")])
def test_a_password_as_it_is(clear: str, encrypted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that sends the password itself is not answered unless the line is encrypted. The control: then it is, by
    the one of them that the driver knows well.
    """
    monkeypatch.setenv("PAM", "pam-secret")
    options = ("--plugin-load-add=auth_pam_v1", f"--pam-use-cleartext-plugin={clear}")
    with running_mariadb(None, *options) as server, server.database("test_pam") as name:
        server.execute("CREATE USER pam@'%' IDENTIFIED VIA pam USING 'outgate'")
        subject = MySQLSubject(server, name)
        for mode, said in {"disabled": "ssl_mode: required", "required": encrypted}.items():
            with pytest.raises(ConnectorError, match=said) as refused:
                changed(subject, user="pam", password={"env": "PAM"}, ssl_mode=mode).tables()
            assert not refused.value.retriable


def test_a_method_whose_package_is_missing(mysql: MySQLSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that logs in by a method that the driver has no package for is told so."""
    monkeypatch.setenv("STRANGER", "s-secret")
    mysql.server.execute(
        "INSTALL SONAME 'auth_ed25519'", "CREATE USER stranger2 IDENTIFIED VIA ed25519 USING PASSWORD('s-secret')"
    )
    monkeypatch.setattr("pymysql._auth._nacl_bindings", False)
    monkeypatch.setitem(sys.modules, "nacl", None)
    try:
        with pytest.raises(ConnectorError, match=r"'pynacl' .* does not know") as unknown:
            changed(mysql, user="stranger2", password={"env": "STRANGER"}).tables()
    finally:
        mysql.server.execute("DROP USER stranger2", "UNINSTALL SONAME 'auth_ed25519'")
    assert not unknown.value.retriable


def test_sessions_are_read_only(mysql: MySQLSubject) -> None:
    """Neither questions nor reads can write."""
    mysql.run("CREATE TABLE t (id int)")
    mysql.run("CREATE FUNCTION f() RETURNS int BEGIN INSERT INTO t VALUES (1); RETURN 1; END")
    text = "(SELECT f() AS n) AS q"
    with pytest.raises(ConnectorError, match="READ ONLY transaction"):
        rows(mysql.database, text)
    with pytest.raises(ConnectorError, match="READ ONLY transaction"):
        mysql.database.newest(relation(mysql.database, text), "n")
    assert rows(mysql.database, "t") == []


def test_settings_of_the_server_do_not_win(mysql: MySQLSubject) -> None:
    """A zone, a mode or a limit that an administrator gives to every session does not reach ours."""
    mysql.run("CREATE TABLE t (id int, at timestamp)")
    mysql.run("INSERT INTO t VALUES (1, '2026-01-01 00:00:00'), (2, '2026-01-01 00:00:00')")
    for_all = "SET time_zone = '+05:00', sql_select_limit = 1, sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES'"
    mysql.server.execute(f'SET GLOBAL init_connect = "{for_all}"')
    try:
        found = rows(mysql.database, "(SELECT id, at, '\\\\' AS s FROM t) AS q")
    finally:
        mysql.server.execute("SET GLOBAL init_connect = ''")
    assert [(row["at"].isoformat(), row["s"]) for row in found] == [("2026-01-01T00:00:00+00:00", "\\")] * 2


def test_a_proxy_that_drops_the_settings(mysql: MySQLSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is not as it was asked to be is refused before anything is read."""
    monkeypatch.setitem(mysql_session.SESSION, "time_zone", "'+01:00'")
    with pytest.raises(ConnectorError, match=r"'\+01:00'.* a proxy"), mysql.database.snapshot():
        pass


def test_statement_timeout(mysql: MySQLSubject) -> None:
    """A statement that takes too long is ended by the server, which may be retried."""
    database = changed(mysql, statement_timeout="1s")
    with pytest.raises(ConnectorError, match="statement_timeout") as ended:
        rows(database, "(SELECT seq, SLEEP(0.01) AS s FROM seq_1_to_10000) AS q")
    assert ended.value.retriable


def test_read_timeout(mysql: MySQLSubject) -> None:
    """A server that is silent for too long is given up, which may be retried."""
    with pytest.raises(ConnectorError, match="read_timeout") as silent:
        rows(changed(mysql, read_timeout="1s"), "(SELECT SLEEP(20) AS s) AS q")
    assert silent.value.retriable


def test_a_server_that_says_nothing(mysql: MySQLSubject) -> None:
    """Who takes the call and then is silent is given up after `connect_timeout`."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        database = changed(mysql, port=mute.getsockname()[1], connect_timeout=1)
        with pytest.raises(ConnectorError, match="timed out") as silent:
            database.tables()
    assert silent.value.retriable


@pytest.mark.parametrize("how", ["CONNECTION", "QUERY"])
def test_a_read_that_is_ended(mysql: MySQLSubject, how: str) -> None:
    """A session or a statement that is killed amid the rows is an error that may be retried, not a short read."""
    mysql.run("CREATE TABLE t (id int)")
    asked = query(mysql.database, ENDLESS)
    with mysql.database.snapshot() as snapshot:
        reader = snapshot.read(asked)
        next(reader)
        find = "SELECT id FROM information_schema.processlist WHERE info LIKE '%seq_1_to_5000000%' AND id <> CONNECTION_ID()"
        [(number,)] = mysql.server.execute(find)
        mysql.server.execute(f"KILL {how} {number}")
        with pytest.raises(ConnectorError) as ended:
            list(reader)
    assert ended.value.retriable


def test_a_server_that_is_killed() -> None:
    """A server that dies amid the rows is an error that may be retried."""
    with running_mariadb() as server:
        server.execute("CREATE DATABASE test_killed")
        subject = MySQLSubject(server, "test_killed")
        asked = query(subject.database, ENDLESS)
        with subject.database.snapshot() as snapshot:
            reader = snapshot.read(asked)
            next(reader)
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(ConnectorError) as lost:
                list(reader)
    assert lost.value.retriable


def test_a_long_read_that_is_left(mysql: MySQLSubject) -> None:
    """What is left of a long read is not waited for: the snapshot is lost, and says so, which may be retried."""
    asked = query(mysql.database, ENDLESS)
    with mysql.database.snapshot() as snapshot:
        reader = snapshot.read(asked)
        next(reader)
        reader.close()  # type: ignore[attr-defined]
        with pytest.raises(ConnectorError) as lost:
            snapshot.count(asked)
    assert lost.value.retriable


def test_a_table_that_is_altered(mysql: MySQLSubject) -> None:
    """A table that was altered since the snapshot cannot be read in it, which may be retried."""
    mysql.run("CREATE TABLE t (id int)")
    asked = query(mysql.database, "t")
    with mysql.database.snapshot() as snapshot:
        mysql.run("ALTER TABLE t ADD COLUMN v int, ALGORITHM = COPY")
        with pytest.raises(ConnectorError, match="altered while") as altered:
            snapshot.count(asked)
    assert altered.value.retriable


def test_privileges(mysql: MySQLSubject, mariadb_server: MariaDBServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check names a missing SELECT, a read the table; with some columns granted, these are the table."""
    mysql.run("CREATE TABLE t (id int, secret int)")
    monkeypatch.setenv("STRANGER", "s-secret")
    stranger = changed(mysql, user="stranger", password={"env": "STRANGER"})
    mariadb_server.account("stranger", "s-secret", f"CREATE TEMPORARY TABLES ON {mysql.name}.*")
    [problem] = stranger.check()
    assert "GRANT SELECT" in problem
    with pytest.raises(ConnectorError, match=r"denied .* table .*`t`.*GRANT SELECT") as denied:
        query(stranger, "t")
    assert not denied.value.retriable
    mariadb_server.execute(f"GRANT SELECT (id) ON {mysql.name}.t TO stranger")
    assert rows(stranger, "t") == []
    assert [each.name for each in query(stranger, "t").columns] == ["id"]
    assert stranger.check() == []


def test_a_password_that_is_not_set(mysql: MySQLSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check names the variable that should hold the password."""
    monkeypatch.delenv(PASSWORD_VARIABLE)
    [problem] = mysql.database.check()
    assert PASSWORD_VARIABLE in problem


def test_memory_is_bounded(mysql: MySQLSubject) -> None:
    """Reading 200 MB adds far less than that to the process."""
    program = """
import resource, sys
from sqlglot import parse_one
from resources.databases.base import Query
from resources.databases.mysql import MariaDB
database = MariaDB.model_validate_json(sys.argv[1])
def read(rows):
    source = parse_one(f"SELECT seq, REPEAT('x', 100) AS s FROM seq_1_to_{rows}", dialect="mysql").subquery("q")
    with database.snapshot() as snapshot:
        assert sum(len(batch) for batch in snapshot.read(Query(source, database.columns(source)))) == rows
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = read(100_000)
print((read(2_000_000) - before) // 1024)
"""
    command = [sys.executable, "-c", program, mysql.database.model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60
