"""A real MariaDB of one's own: passwords, TLS with a self-made certificate, a system zone far from UTC, no fsync.

Databases and accounts for a test are made here too; what is in them is the test's business. The owner may do everything
in databases called `test_...`, and see what goes on; everything else takes the administrator.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from tests.servers.missing import apt_install, give_up

OWNER = "owner"
ADMIN = "admin"
PASSWORD = "owner-p@ss/word"
UNPRIVILEGED = 65534
START_SECONDS = 60
OPTIONS = (
    "--no-defaults",
    "--bind-address=127.0.0.1,127.0.0.2",
    "--skip-log-bin",
    "--server-id=7",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=OFF",
    "--innodb-buffer-pool-size=64M",
    "--max-connections=60",
    "--lock-wait-timeout=30",
    "--max-allowed-packet=128M",
)
ZONE = {"TZ": "America/New_York"}
"""A server that believes in UTC would hide every mistake about zones."""

ACCOUNTS = f"""
CREATE OR REPLACE USER {ADMIN}@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL PRIVILEGES ON *.* TO {ADMIN}@'%' WITH GRANT OPTION;
CREATE OR REPLACE USER {OWNER}@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL PRIVILEGES ON `test\\_%`.* TO {OWNER}@'%';
GRANT PROCESS, REPLICA MONITOR ON *.* TO {OWNER}@'%';
"""


@dataclass(frozen=True)
class MariaDBServer:
    """A running server: where it listens, its process, and the certificate that a client may verify it by."""

    port: int
    certificate: Path
    host: str = "127.0.0.1"
    pid: int = 0

    def connect(self, database: str | None = None, user: str = OWNER, **settings: Any) -> Connection:
        """A session in UTC that commits every statement, unless `settings` say otherwise."""
        usual: dict[str, Any] = {"password": PASSWORD, "autocommit": True, "init_command": "SET time_zone = '+00:00'"}
        return Connection(host=self.host, port=self.port, user=user, database=database, **usual | settings)

    def execute(self, *statements: str, database: str | None = None) -> Sequence[tuple[Any, ...]]:
        """Run statements as the administrator. Returns the rows of the last."""
        with self.connect(database, ADMIN) as session, session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            found: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return found

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """A fresh, empty database, dropped at the end. Yields its name."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        try:
            yield name
        finally:
            self.execute(f"DROP DATABASE `{name}`")

    def account(self, name: str, password: str, *grants: str) -> None:
        """Make (anew) an account that may log in, and what `grants` name ("SELECT ON test.*")."""
        self.execute(f"CREATE OR REPLACE USER {name}@'%' IDENTIFIED BY '{password}'")
        self.execute(*(f"GRANT {grant} TO {name}@'%'" for grant in ("USAGE ON *.*", *grants)))


def binaries() -> tuple[Path, Path]:
    """The server and the program that makes its data folder, installed first where they are missing and may be."""
    found = _find()
    if found is None and apt_install("mariadb-server"):
        found = _find()
    if found is None:
        give_up("MariaDB", "no mariadbd on PATH or in /usr/sbin, and apt-get cannot install mariadb-server")
    return found


@contextmanager
def running_mariadb(folder: Path | None = None, *options: str) -> Iterator[MariaDBServer]:
    """Start a server whose data lies in `folder` (kept; by default a temporary one) and stop it at the end.

    As root everything runs as the user nobody, who must be able to reach `folder`.
    """
    home = Path(tempfile.mkdtemp(prefix="outgate-mariadb-")) if folder is None else folder
    try:
        with _serving(home, options) as server:
            yield server
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _serving(home: Path, options: Sequence[str]) -> Iterator[MariaDBServer]:
    server, install = binaries()
    home.mkdir(parents=True, exist_ok=True)
    (home / "accounts.sql").write_text(ACCOUNTS.strip().replace("\n\n", "\n"), encoding="utf-8")
    _as_nobody(home)
    if not (home / "data").exists():
        _certificate(home)
        data = f"--datadir={home / 'data'}"
        _run(home, install, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db")
    process, port = _started(server, home, options)
    try:
        yield MariaDBServer(port, home / "server.crt", pid=process.pid)
    finally:
        process.kill()
        process.wait()


def _started(server: Path, home: Path, options: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start on a free port; another process may take it between the look and the start, hence more than one try."""
    for _ in range(3):
        port = _free_port()
        place = [f"--datadir={home / 'data'}", f"--port={port}", f"--socket={home / 'socket'}", f"--tmpdir={home}"]
        secure = [f"--ssl-cert={home / 'server.crt'}", f"--ssl-key={home / 'server.key'}"]
        command: list[str | Path] = [
            server,
            *OPTIONS,
            *place,
            *secure,
            f"--init-file={home / 'accounts.sql'}",
            *options,
        ]
        with (home / "log").open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command, cwd=home, env=_plain() | ZONE, stdout=log, stderr=log, **_who()
            )
        if _answers(process, port):
            return process, port
        process.kill()
        process.wait()
    raise RuntimeError(f"MariaDB did not start: {(home / 'log').read_text(errors='replace')[-2000:]}")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            MariaDBServer(port, Path()).connect(user=ADMIN).close()
        except pymysql.err.OperationalError:
            time.sleep(0.1)
        else:
            return True
    return False


def _certificate(home: Path) -> None:
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", home / "server.key", "-out", home / "server.crt")
    _run(home, "openssl", "req", "-x509", "-days", "3", *names, *key)


def _as_nobody(home: Path) -> None:
    if os.geteuid() == 0:
        for path in (home, home / "accounts.sql"):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)


def _who() -> dict[str, Any]:
    nobody = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}
    return nobody if os.geteuid() == 0 else {}


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("MYSQL", "MARIADB"))}


def _run(home: Path, *command: str | Path) -> None:
    done = subprocess.run(
        command, cwd=home, env=_plain(), stdin=subprocess.DEVNULL, capture_output=True, check=False, **_who()
    )
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).decode(errors='replace')}")


def _find() -> tuple[Path, Path] | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])
    server, install = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    return (Path(server), Path(install)) if server and install else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
