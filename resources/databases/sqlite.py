"""SQLite: a file opened read-only, read in one transaction. Who else has one open it does not tell.

How values and times are read is in sqlite_types.py and sqlite_times.py, what the catalogue says in sqlite_catalog.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import pyarrow as pa
from sqlglot import exp

from resources.databases import sqlite_catalog as catalog
from resources.databases import sqlite_times as times
from resources.databases import sqlite_types as types
from resources.databases.base import Activity, Column, Database, Facts, Query, Snapshot
from resources.databases.sqlite_sql import sql
from resources.databases.values import batch_of, refused
from spec.base import Duration, seconds
from spec.errors import ConnectorError, RowsRefused

BATCH_ROWS, BATCH_BYTES, FETCHED = 16_384, 4 << 20, 64
BLIND = "SQLite does not show who has a transaction open"
ADVICE: tuple[tuple[str, bool, str], ...] = (
    ("SQLITE_BUSY", True, "another process is writing to it: try again, or give the connector a longer `busy_timeout`"),
    ("SQLITE_LOCKED", True, "another connection has it: try again"),
    ("SQLITE_IOERR", True, "the disk did not answer as it should"),
    ("SQLITE_NOTADB", False, "check `path`"),
    ("SQLITE_CANTOPEN", False, "check `path`; a database in WAL mode also needs the right to write in its folder"),
    ("SQLITE_READONLY", False, "what a writer left behind must be tidied up first: open it once with its own program"),
    ("SQLITE_CORRUPT", False, "restore it from a backup: `PRAGMA integrity_check` says what is broken"),
)
UNDECODED, RAISED = "Could not decode to UTF-8 column", "user-defined function raised"


class SQLite(Database):
    """A SQLite file, read as it stands."""

    dialect: ClassVar[str] = "sqlite"

    type: Literal["sqlite"] = "sqlite"
    path: str
    busy_timeout: Duration = "10s"

    def columns(self, relation: exp.Expr, as_text: frozenset[str] = frozenset()) -> tuple[Column, ...]:
        """The columns by their declared types. Raises ConnectorError for two of one name."""
        with self._session() as session:
            return catalog.columns(session, times.comparable(relation), as_text)

    def activity(self) -> Activity:
        """Blind: one writer at a time, but it may have stamped its rows long before it commits them."""
        path = self._file()
        return Activity(clock=datetime.now(UTC), server=str(path), blind=BLIND)

    def newest(self, relation: exp.Expr, column: str) -> int | None:
        """The highest value. Raises RowsRefused for one that is no whole number: it would stand above all others."""
        highest = exp.Max(this=exp.column(column, quoted=True))
        statement = sql(exp.select(highest).from_(times.comparable(relation)))
        with self._session() as session:
            value = catalog.one(session, statement)
        if not isinstance(value, int | None):
            raise refused(Column(column, "whole numbers", pa.int64()), f"{value!r:.40}")
        return value

    def sequential(self, relation: exp.Expr, column: str) -> bool:
        """Only INTEGER PRIMARY KEY AUTOINCREMENT: without that word the highest id is given anew once it is deleted."""
        if not isinstance(relation, exp.Table):
            return False
        with self._session() as session:
            return catalog.counts_up(session, relation.name, column)

    def facts(self, table: exp.Table) -> Facts:
        """Keys, indexes and collations; SQLite keeps no comments."""
        with self._session() as session:
            return catalog.facts(session, table, self.path)

    def tables(self) -> list[str]:
        """Tables and views."""
        with self._session() as session:
            return catalog.tables(session)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One read transaction, whose view is taken before this returns."""
        with translated(self.path):
            connection = self._connect()
        try:
            with translated(self.path):
                connection.execute("BEGIN")
                catalog.tables(connection)  # BEGIN alone takes no view
            yield SQLiteSnapshot(connection, self.path)
        finally:
            connection.close()

    def check(self) -> list[str]:
        """Open the file and look for a table in it."""
        try:
            return [] if self.tables() else [f"SQLite {self.path!r} has no table: check `path`"]
        except ConnectorError as error:
            return [str(error)]

    @contextmanager
    def _session(self) -> Iterator[sqlite3.Connection]:
        with translated(self.path), closing(self._connect()) as connection:
            yield connection

    def _connect(self) -> sqlite3.Connection:
        timeout = seconds(self.busy_timeout).total_seconds()
        place = f"file:{quote(str(self._file()))}?mode=ro"
        connection = sqlite3.connect(
            place, uri=True, isolation_level=None, timeout=timeout, check_same_thread=False, cached_statements=0
        )
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        for kind, name in times.FUNCTIONS.items():
            connection.create_function(name, 2, _reader(kind), deterministic=True)
        return connection

    def _file(self) -> Path:
        path = Path(self.path).resolve()
        if not path.is_file():
            raise ConnectorError(f"SQLite {self.path!r} is not a file: check `path`", retriable=False)
        return path


class SQLiteSnapshot:
    """One read transaction on one connection."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection = connection
        self._path = path

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Stream the rows in batches of about 4 MiB and at most 16,384 rows."""
        self._refuse_misspelled(query)
        with translated(self._path, query), closing(self._connection.execute(_statement(query))) as cursor:
            while rows := _fetched(cursor):
                yield batch_of(query.columns, map(types.array, query.columns, zip(*rows, strict=True)))

    def count(self, query: Query) -> int:
        """How many rows satisfy the query."""
        self._refuse_misspelled(query)
        with translated(self._path, query):
            return int(catalog.one(self._connection, _statement(query, exp.Count(this=exp.Star()))))

    def _refuse_misspelled(self, query: Query) -> None:
        """A cursor that spells no moment belongs to no window, and nobody would ever miss its row."""
        named = {column.name: column for column in query.columns}
        for name in dict.fromkeys(name for each in query.where for name in times.compared_columns(each)):
            odd = Query(query.relation, query.columns, (times.misspelled(name),), limit=1)
            with translated(self._path, query):
                value = catalog.one(self._connection, _statement(odd, exp.column(name, quoted=True)))
            if value is not None:
                raise refused(named.get(name) or Column(name, "a date or time", types.MICROSECONDS), f"{value!r:.40}")


@contextmanager
def translated(path: str, query: Query | None = None) -> Iterator[None]:
    """Let every error of SQLite leave as a ConnectorError that names the file; a text that is no text of `query` as a
    RowsRefused.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _failure(error, path, query) from None


def _failure(error: sqlite3.Error, path: str, query: Query | None) -> ConnectorError | RowsRefused:
    text, state = str(error), getattr(error, "sqlite_errorname", "")
    if query and text.startswith(UNDECODED):
        column = next((each for each in query.columns if f"{UNDECODED} '{each.name}'" in text), query.columns[0])
        return RowsRefused(
            f"column {column.name!r} ({column.declared}) holds text that is not UTF-8: mend it, or read it as"
            " hex(...) in `source.sql`"
        )
    if query and RAISED in text:
        compared = ", ".join(repr(name) for each in query.where for name in times.compared_columns(each))
        return RowsRefused(
            f"a value that is compared with a date or time (column {compared or 'of `source.sql`'}) is none in ISO"
            " 8601: leave those rows out in `source.sql`, or mend them"
        )
    retriable, advice = next(((again, advice) for name, again, advice in ADVICE if state.startswith(name)), (False, ""))
    said = f"SQLite {path!r} said {text!r}"
    return ConnectorError(f"{said}: {advice}" if advice else said, retriable=retriable)


def _reader(kind: pa.DataType) -> Any:
    return lambda text, _name: times.microseconds(text, kind)


def _statement(query: Query, *projection: exp.Expr) -> str:
    ordered = Query(times.comparable(query.relation), query.columns, limit=query.limit)
    select = ordered.select(*projection)
    for condition in query.where:
        select = select.where(times.comparable(condition, by_day=True))
    kinds = {column.name: column.type for column in query.columns}
    for name in query.order:
        select = select.order_by(times.sortable(name, kinds.get(name)))
    return sql(select)


def _fetched(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    """The next rows: enough for a batch, counted in small steps because one row may be large."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    while len(rows) < BATCH_ROWS and size < BATCH_BYTES and (more := cursor.fetchmany(FETCHED)):
        rows += more
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for row in more for value in row)
    return rows
