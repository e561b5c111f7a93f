"""MySQL and MariaDB: one consistent, read-only snapshot, whose rows are read as the columns that they are.

How a session is made, how rows travel, what types are, what the catalogue and the statistics say and what errors mean
is in the files named mysql_*.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field
from sqlglot import exp

from resources.databases import mysql_activity, mysql_catalog
from resources.databases import mysql_types as types
from resources.databases.base import Activity, Column, Database, Facts, Query, Snapshot
from resources.databases.mysql_errors import translated
from resources.databases.mysql_session import TlsMode, flavour, one, opened, rows
from resources.databases.mysql_wire import Rows
from resources.databases.values import batch_of, distinct
from resources.secrets import reveal
from spec.base import Duration, seconds
from spec.errors import ConnectorError, DeclarationError
from spec.secrets import Secret

SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
EXPECTED = ("REPEATABLE-READ", "+00:00", 1, "utf8mb4")
FOUND = "SELECT @@{isolation}, @@time_zone, @@{read_only}, @@character_set_results"


class Server(Database):
    """What is true of both. The user needs SELECT; for the horizon `gate` also PROCESS and to see replication."""

    dialect: ClassVar[str] = "mysql"
    label: ClassVar[str]

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 3306
    database: str
    user: str
    password: Secret
    ssl_mode: TlsMode = "verify_identity"
    ssl_ca: str | None = Field(default=None, description="a file of certificates; those of this machine unless said")
    connect_timeout: Annotated[int, Field(ge=1, description="seconds")] = 10
    statement_timeout: Literal["0"] | Duration = Field(default="0", description="0 is none")
    read_timeout: Literal["0"] | Duration = Field(
        default="0", description="how long the server may be silent; 0 is ever"
    )

    @property
    def where(self) -> str:
        """The place as messages name it."""
        return f"{self.label} {self.host}:{self.port}/{self.database} as {self.user!r}"

    def columns(self, relation: exp.Expr, as_text: frozenset[str] = frozenset()) -> tuple[Column, ...]:
        """The columns. Raises ConnectorError for two of one name."""
        with self._session() as session:
            found = mysql_catalog.columns(session, types.instants(relation), as_text)
        distinct([each.name for each in found])
        return found

    def activity(self) -> Activity:
        """Who could still commit rows to this server."""
        with self._session() as session:
            return mysql_activity.activity(session, f"{self.host}:{self.port}/{self.database}")

    def newest(self, relation: exp.Expr, column: str) -> int | None:
        """The highest committed value. Raises ConnectorError where the column is not there."""
        highest = exp.Max(this=exp.column(column, quoted=True))
        with self._session() as session:
            value = one(session, rendered(exp.select(highest).from_(relation.copy())))
        return None if value is None else int(value)

    def sequential(self, relation: exp.Expr, column: str) -> bool:
        """Only an AUTO_INCREMENT column of an InnoDB table, counted by one, is."""
        if not isinstance(relation, exp.Table):
            return False
        with self._session() as session:
            return mysql_catalog.sequential(session, relation, column)

    def facts(self, table: exp.Table) -> Facts:
        """Key, indexes, comments and collations."""
        with self._session() as session:
            return mysql_catalog.facts(session, table)

    def tables(self) -> list[str]:
        """Tables and views that this user may see, those of other databases with their database."""
        with self._session() as session:
            return [name for (name,) in rows(session, mysql_catalog.TABLES)]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One transaction WITH CONSISTENT SNAPSHOT, READ ONLY, whose view is taken before this returns."""
        with translated(self.where):
            session = self._opened()
        try:
            view = MySQLSnapshot(session, self.where)
            view.begin()
            yield view
        finally:
            session.close()

    def check(self) -> list[str]:
        """Open a snapshot and look for tables. What only some exports need is in `activity` and `facts`."""
        try:
            with self.snapshot():
                return [] if self.tables() else [f"{self.where} can read no table: GRANT SELECT on them to it"]
        except (ConnectorError, DeclarationError) as error:
            return [str(error)]

    @contextmanager
    def _session(self) -> Iterator[Any]:
        with translated(self.where), self._opened() as session:
            yield session

    def _opened(self) -> Any:
        settings = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": reveal(self.password).encode(),
            "database": self.database,
            "connect_timeout": self.connect_timeout,
            "program_name": "outgate",
        }
        try:
            silent, statement = _seconds(self.read_timeout), _seconds(self.statement_timeout)
            return opened(settings, self.ssl_mode, self.ssl_ca, silent_seconds=silent, statement_seconds=statement)
        except OSError as error:
            message = (
                f"{self.where}: `ssl_ca` {self.ssl_ca!r} cannot be read as certificates: {error.strerror or error}"
            )
            raise ConnectorError(message) from None


class MySQL(Server):
    """A MySQL database, read as one user."""

    label: ClassVar[str] = "MySQL"

    type: Literal["mysql"] = "mysql"


class MariaDB(Server):
    """A MariaDB database, read as one user."""

    label: ClassVar[str] = "MariaDB"

    type: Literal["mariadb"] = "mariadb"


class MySQLSnapshot:
    """One transaction on one connection. A read that is left early is drained before the next."""

    def __init__(self, session: Any, where: str) -> None:
        self._session = session
        self._where = where

    def begin(self) -> None:
        """Take the view, and make sure that no proxy in between dropped what it depends on."""
        kind = flavour(self._session)
        with translated(self._where):
            self._session.query(SNAPSHOT)
            [found] = rows(self._session, FOUND.format(isolation=kind.isolation, read_only=kind.read_only))
        if found != EXPECTED:
            raise ConnectorError(
                f"{self._where} runs with {found!r} where {EXPECTED!r} is needed: a proxy seems to drop what the"
                " session was set to; connect to the server itself"
            )

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Stream the rows in batches of about 2 MiB."""
        types.refuse_unlisted(query.columns)
        guards = types.guards(query.columns)
        projection = [types.wire(column) for column in query.columns]
        projection += [types.returns(guard, column) for guard, column in guards.items()]
        with translated(self._where):
            for texts in Rows(self._session, rendered(query.select(*projection))).texts():
                for column, same in zip(guards.values(), texts[len(query.columns) :], strict=True):
                    types.unchanged(column, same)
                yield batch_of(query.columns, map(types.rebuilt, query.columns, texts))

    def count(self, query: Query) -> int:
        """How many rows satisfy the query."""
        with translated(self._where):
            return int(one(self._session, rendered(query.select(exp.Count(this=exp.Star())))))


def rendered(tree: exp.Expr) -> str:
    """The statement. Without comments: this server would run what is in some."""
    return types.instants(tree).sql("mysql", comments=False)


def _seconds(duration: str) -> float:
    return 0 if duration == "0" else seconds(duration).total_seconds()
