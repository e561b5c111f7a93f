"""Sessions of MySQL and MariaDB: how one is opened and encrypted, what every one is set to, and what the two call it.

What is asked in a session is in mysql_catalog.py and mysql_activity.py.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from resources.databases.mysql_errors import NO_METHOD, UNSAFE_METHOD

TlsMode = Literal["disabled", "preferred", "required", "verify_ca", "verify_identity"]
VERIFIED: Mapping[str, tuple[ssl.VerifyMode, bool]] = {
    "required": (ssl.CERT_NONE, False),
    "verify_ca": (ssl.CERT_REQUIRED, False),
    "verify_identity": (ssl.CERT_REQUIRED, True),
}
"""By mode: whether the certificate must be signed by one that is trusted, and whether it must name the host."""

SESSION = {
    "time_zone": "'+00:00'",
    # sqlglot writes backticks and doubles backslashes, and takes `||` for OR.
    "sql_mode": "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
    "sql_auto_is_null": "0",
    "sql_select_limit": "18446744073709551615",
    "sql_big_selects": "1",
    # How long the server waits for us while rows are written down, and between two questions.
    "net_write_timeout": "7200",
    "wait_timeout": "28800",
    # Seconds; the server would wait a day for an ALTER TABLE.
    "lock_wait_timeout": "60",
}
READ_ONLY = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
KEEPALIVES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}


class Unsafe:
    """The driver's handler for methods that send the password as it is: not over a line that anybody may read."""

    def __init__(self, connection: object) -> None:
        """`connection` is the driver's, which has not logged in."""

    def authenticate(self, _: object) -> NoReturn:
        """Raise the driver's error instead of answering."""
        from pymysql import err

        raise err.OperationalError(UNSAFE_METHOD, "the server asks for the password as it is, and nothing is encrypted")


PLAIN = dict.fromkeys(("mysql_clear_password", "dialog"), Unsafe)


@dataclass(frozen=True)
class Flavour:
    """What one of the two servers calls things.

    `timeout` names the setting that ends a long statement, whose unit is `per_second` to a second; `began` is when the
    statement of a row of processlist began; `replica` asks what the server replicates from, which takes `sees_replica`.
    """

    timeout: str
    per_second: int
    isolation: str
    read_only: str
    began: str
    replica: str
    sees_replica: str


MARIADB = Flavour(
    timeout="max_statement_time",
    per_second=1,
    isolation="tx_isolation",
    read_only="tx_read_only",
    began="NOW(6) - INTERVAL ROUND(time_ms * 1000) MICROSECOND",
    replica="SHOW ALL SLAVES STATUS",
    sees_replica="SLAVE MONITOR",
)
MYSQL = Flavour(
    timeout="max_execution_time",
    per_second=1000,
    isolation="transaction_isolation",
    read_only="transaction_read_only",
    began="NOW(6) - INTERVAL time + 1 SECOND",
    replica="SHOW REPLICA STATUS",
    sees_replica="REPLICATION CLIENT",
)


def flavour(session: Any) -> Flavour:
    """Which of the two has answered."""
    return MARIADB if "MariaDB" in session.server_version else MYSQL


def opened(
    settings: Mapping[str, Any], mode: TlsMode, ca: str | None, *, silent_seconds: float, statement_seconds: float
) -> Any:
    """A session in UTC that can only read. `settings` are the driver's; 0 seconds is no time-out.

    Raises the driver's errors, and OSError for certificates that cannot be read.
    """
    from pymysql import err
    from pymysql.connections import Connection

    # The driver would wait for ever for a server that lets itself be called and then says nothing.
    greeting = {"read_timeout": settings["connect_timeout"]}
    try:
        session = Connection(**settings, **greeting, **_tls(mode, ca), charset="utf8mb4", autocommit=True)
    except (RuntimeError, IndexError) as error:  # a package that the method of logging in needs; an answer cut short
        raise err.OperationalError(NO_METHOD, str(error)) from None
    try:
        session._read_timeout = silent_seconds or None  # noqa: SLF001  (it can only be given once)
        for name, value in KEEPALIVES.items():
            if hasattr(socket, name):
                session._sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)  # noqa: SLF001  (no other way)
        kind = flavour(session)
        timeout = {kind.timeout: f"{statement_seconds * kind.per_second:.0f}"}
        session.query("SET SESSION " + ", ".join(f"{name} = {value}" for name, value in (SESSION | timeout).items()))
        session.query(READ_ONLY)
    except BaseException:
        session.close()
        raise
    return session


def _tls(mode: TlsMode, ca: str | None) -> dict[str, Any]:
    """The driver's arguments: without any it takes TLS where the server has it, and looks at no certificate."""
    if mode not in VERIFIED:
        return {"ssl_disabled": mode == "disabled", "auth_plugin_map": PLAIN}
    verified, named = VERIFIED[mode]
    context = ssl.create_default_context(cafile=ca)
    # The certificates that the servers make for themselves lack what this asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = named
    context.verify_mode = verified
    return {"ssl": context}


def rows(session: Any, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """All rows of a small answer."""
    with session.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return list(cursor.fetchall())


def one(session: Any, statement: str, parameters: tuple[object, ...] = ()) -> Any:
    """The first value of the first row, None where there is no row."""
    found = rows(session, statement, parameters)
    return found[0][0] if found else None
