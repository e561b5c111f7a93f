"""How the ledger reaches its database: the two engines, and transactions that mean what they say.

SQLite: one host, WAL, every write begins IMMEDIATE. PostgreSQL: several hosts, READ COMMITTED, row locks. What is
written in a transaction belongs in the modules named after the steps.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from weakref import WeakSet

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from spec.errors import DeclarationError, LedgerError

Clock = Callable[[], datetime]

ALLOWED = "allowed are sqlite:////absolute/path/ledger.db and postgresql://user:password@host/database"
ESCAPED = "in a user or password write @ as %40, : as %3A, / as %2F and % as %25"
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
BUSY_SECONDS = 30
# A worker that is frozen inside a transaction must not hold its row locks for ever.
SESSION = "SET idle_in_transaction_session_timeout = '30s'; SET lock_timeout = '60s'; SET timezone = 'UTC'"


def process_clock() -> datetime:
    """The clock of this process, in UTC."""
    return datetime.now(UTC)


def parse(url: str) -> URL:
    """The URL with the driver that is used here; DeclarationError for one that a ledger cannot live in."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        said = f"the ledger's URL (OUTGATE_LEDGER) cannot be read, its port perhaps; {ALLOWED}"
        raise DeclarationError(said) from None
    driver = DRIVERS.get(parsed.drivername)
    if driver is None:
        raise DeclarationError(f"the ledger's URL (OUTGATE_LEDGER) names {parsed.drivername!r}; {ALLOWED}")
    if driver == "sqlite" and (parsed.database or ":memory:") == ":memory:":
        raise DeclarationError(
            f"the ledger's URL (OUTGATE_LEDGER) names no file, and a ledger in memory would forget; {ALLOWED}"
        )
    # Part of the password would be taken for the host or the database, and shown.
    if driver != "sqlite" and url.count("@") > (parsed.username is not None):
        raise DeclarationError(f"the ledger's URL (OUTGATE_LEDGER) has an @ too many; {ESCAPED}")
    return parsed.set(drivername=driver)


def masked(url: URL) -> str:
    """The URL as people may see it: no password, and no options, where one may stand as well."""
    return url.set(query={}).render_as_string(hide_password=True)


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite ledger, None on a server."""
    return Path(url.database).absolute() if url.drivername == "sqlite" and url.database else None


def connector(path: Path, *, may_create: bool) -> Callable[[], sqlite3.Connection]:
    """What opens one connection to the file; it is only ever created where that was asked for."""
    uri = f"file:{quote(str(path))}?mode={'rwc' if may_create else 'rw'}"

    def connect() -> sqlite3.Connection:
        conn = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            conn.execute(f"PRAGMA {pragma}").close()
        return conn

    return connect


def _begin(conn: Connection) -> None:
    conn.exec_driver_sql(conn.get_execution_options().get("begin", "BEGIN"))


def _session(conn: object, _record: object) -> None:
    with conn.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(SESSION)
    conn.commit()  # type: ignore[attr-defined]


def build(url: URL, *, may_create: bool) -> tuple[Engine, Engine]:
    """The engine for writing and, over the same connections, the engine for reading one consistent picture."""
    path = sqlite_file(url)
    if path is not None:
        opened = connector(path, may_create=may_create)
        engine = create_engine("sqlite://", creator=opened, poolclass=QueuePool, hide_parameters=True)
        event.listen(engine, "begin", _begin)
        return engine.execution_options(begin="BEGIN IMMEDIATE"), engine
    engine = create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args={"connect_timeout": 10})
    event.listen(engine, "connect", _session)
    return engine, engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Let a database's refusal leave as LedgerError, without the statement and its values."""
    try:
        yield
    except (StatementError, PoolTimeout) as error:
        reason = str(getattr(error, "orig", error)).strip()
        problem = LedgerError(f"the ledger at {url} refused: {reason}; nothing of this step was kept")
        problem.retriable = isinstance(error, (OperationalError, PoolTimeout))
        raise problem from None


class Transactions:
    """An open database: `write` and `read` transactions, and the clock that leases are measured with."""

    def __init__(self, url: URL, clock: Clock, *, may_create: bool = False) -> None:
        self.url = masked(url)
        self._clock = clock
        self._writing, self._reading = build(url, may_create=may_create)
        self._server = url.drivername != "sqlite"
        self._inherited: list[object] = []
        _OPEN.add(self)

    def forked(self) -> None:
        """Start with connections of one's own; called in the child of a fork."""
        # The parent's stay referenced: to close them here would speak on the parent's sockets and locks.
        self._inherited.append(self._writing.pool)
        self._writing.dispose(close=False)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, durable when the block has ended and undone when it raises."""
        with translated(self.url), self._writing.begin() as conn:
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent picture; nothing may be written."""
        with translated(self.url), self._reading.begin() as conn:
            yield conn

    def instant(self, conn: Connection) -> datetime:
        """The ledger's own clock: the server's on PostgreSQL, this process's on SQLite."""
        if not self._server:
            return self._clock()
        now: datetime = conn.execute(select(func.clock_timestamp())).scalar_one()
        return now.astimezone(UTC)

    def now(self) -> datetime:
        """The instant that leases are measured against, in UTC."""
        with self.read() as conn:
            return self.instant(conn)

    def close_connections(self) -> None:
        """Close every connection; the next transaction would open a new one."""
        self._writing.dispose()


_OPEN: WeakSet[Transactions] = WeakSet()


def _after_fork() -> None:
    for transactions in _OPEN:
        transactions.forked()


os.register_at_fork(after_in_child=_after_fork)
