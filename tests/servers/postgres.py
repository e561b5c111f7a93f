"""A real PostgreSQL of one's own: SCRAM passwords, TLS with a self-made certificate, prepared transactions, no fsync.

Databases and roles for a test are made here too; what is in them is the test's business.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from tests.servers.missing import apt_install, give_up

OWNER = "owner"
PASSWORD = "owner-p@ss/word"
UNPRIVILEGED = 65534
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "ssl": "on",
    "ssl_cert_file": "server.crt",
    "ssl_key_file": "server.key",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_prepared_transactions": "10",
    "wal_level": "logical",
}


@dataclass(frozen=True)
class PostgresServer:
    """A running server: where it listens, who owns it, and the certificate that a client may verify it by."""

    port: int
    certificate: Path
    host: str = "127.0.0.1"

    def url(self, database: str = "postgres", user: str = OWNER, password: str = PASSWORD) -> str:
        """The libpq URL of one database as one role; the password is percent-encoded."""
        return f"postgresql://{quote(user)}:{quote(password, safe='')}@{self.host}:{self.port}/{quote(database)}"

    def execute(self, statement: str | sql.Composed, database: str = "postgres") -> None:
        """Run one statement as the owner, outside a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode() if isinstance(statement, str) else statement)

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """A fresh, empty database, dropped at the end whoever is still connected to it. Yields its URL."""
        named = sql.Identifier(name)
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(named))
        try:
            yield self.url(name)
        finally:
            self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))

    def role(self, name: str, password: str, *, sees_activity: bool) -> None:
        """Make (anew) a role that can log in and owns nothing; with pg_read_all_stats where it `sees_activity`."""
        named = sql.Identifier(name)
        self.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(named))
        self.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(named, sql.Literal(password)))
        if sees_activity:
            self.execute(sql.SQL("GRANT pg_read_all_stats TO {}").format(named))


def binaries() -> Path:
    """The folder of initdb and pg_ctl, installed first where they are missing and that is allowed."""
    found = _find()
    if found is None and apt_install("postgresql"):
        found = _find()
    if found is None:
        give_up("PostgreSQL", "no initdb in /usr/lib/postgresql/*/bin or on PATH, and apt-get cannot install it")
    return found


@contextmanager
def running_postgres(folder: Path | None = None) -> Iterator[PostgresServer]:
    """Start a server whose data lies in `folder` (kept; by default a temporary one) and stop it at the end.

    As root everything runs as the user nobody, who must be able to reach `folder`.
    """
    home = Path(tempfile.mkdtemp(prefix="outgate-postgres-")) if folder is None else folder
    try:
        yield from _serve(binaries(), home)
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def _serve(programs: Path, home: Path) -> Iterator[PostgresServer]:
    data = _prepared(programs, home)
    port = _started(programs, home, data)
    try:
        yield PostgresServer(port, data / "server.crt")
    finally:
        _run(home, programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _prepared(programs: Path, home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    data, secret = home / "data", home / "password"
    if data.exists():
        return data
    secret.write_text(PASSWORD)
    if os.geteuid() == 0:
        for path in (home, secret):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
    scram = ("--auth=scram-sha-256", f"--pwfile={secret}", f"--username={OWNER}")
    _run(home, programs / "initdb", "-D", data, *scram, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", data / "server.key", "-out", data / "server.crt")
    _run(home, "openssl", "req", "-x509", "-days", "3", *names, *key)
    return data


def _started(programs: Path, home: Path, data: Path) -> int:
    """Start on a free port; another process may take it between the look and the start, hence more than one try."""
    settings = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
    log = home / "log"
    for last in (False, False, True):
        port = _free_port()
        try:
            options = f"-p {port} {settings}"
            _run(home, programs / "pg_ctl", "-D", data, "-l", log, "-w", "-t", "60", "-o", options, "start")
        except RuntimeError as error:
            if last:
                raise RuntimeError(f"{error}\n{log.read_text()}") from error
        else:
            return port
    raise AssertionError


def _run(home: Path, *command: str | Path) -> None:
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    groups: list[int] | None = [] if user else None
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    # The server inherits what it is given: output to a pipe would never end.
    with (home / "output").open("w+b") as output:
        done = subprocess.run(
            command, cwd=home, env=plain, user=user, group=user, extra_groups=groups,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
        )  # fmt: skip
        output.seek(0)
        if done.returncode:
            raise RuntimeError(f"{Path(command[0]).name} failed: {output.read().decode(errors='replace')}")


def _find() -> Path | None:
    folders = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(folders, key=lambda path: int(re.sub(r"\D", "", path.parent.parent.name) or 0), default=None)
    found = newest or (Path(path) if (path := shutil.which("initdb")) else None)
    return found.resolve().parent if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
