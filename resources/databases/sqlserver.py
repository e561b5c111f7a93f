"""SQL Server and Azure SQL: rows by FreeTDS (pymssql), in one SNAPSHOT transaction that is always rolled back.

How types travel, how trees are spelled, what the catalogue is asked and what errors mean is in the files named
sqlserver_*; how TLS is asked for is in sqlserver_dial.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, Self

import pyarrow as pa
from pydantic import Field, model_validator
from sqlglot import exp

from resources.databases import sqlserver_catalog as catalog
from resources.databases import sqlserver_types as types
from resources.databases.base import Activity, Column, Database, Facts, Query, Snapshot
from resources.databases.chunks import by_column, chunks, numbered
from resources.databases.sqlserver_dial import Dial, dialled
from resources.databases.sqlserver_errors import failure, translated
from resources.databases.sqlserver_sql import literal, named, not_before, rendered
from resources.databases.values import batch_of, distinct
from resources.secrets import reveal
from spec.base import Duration, seconds
from spec.errors import ConnectorError, DeclarationError
from spec.secrets import Secret

ALLOWED, SNAPSHOT_LEVEL = 1, 5
Row = tuple[Any, ...]


class SqlServer(Database):
    """A SQL Server database of 2016 or newer, read as one user, who needs SELECT, and VIEW SERVER STATE for `gate`."""

    dialect: ClassVar[str] = "tsql"

    type: Literal["sqlserver"] = "sqlserver"
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 1433
    database: str
    user: str
    password: Secret
    encrypt: Literal["strict", "mandatory", "optional"] = "mandatory"
    trust_server_certificate: bool = False
    host_name_in_certificate: str | None = None
    ca_file: str | None = Field(default=None, description="a file of certificates; none is this machine's own")
    search_path: str | None = Field(default=None, alias="schema", description="where unqualified tables are looked up")
    connect_timeout: Annotated[int, Field(ge=1, description="seconds")] = 10
    statement_timeout: Literal["0"] | Duration = Field(default="0", description="0 is none")
    application_name: str = "outgate"

    @model_validator(mode="after")
    def _strict_verifies(self) -> Self:
        if self.encrypt == "strict" and self.trust_server_certificate:
            message = (
                "`encrypt: strict` always verifies the server; leave `trust_server_certificate` out, or say mandatory"
            )
            raise ValueError(message)
        return self

    @property
    def where(self) -> str:
        """The place as messages name it."""
        return f"{self.host}:{self.port}/{self.database} as {self.user!r}"

    def columns(self, relation: exp.Expr, as_text: frozenset[str] = frozenset()) -> tuple[Column, ...]:
        """The columns, alias types resolved. Raises ConnectorError for two of one name, and for one without."""
        statement = self._sql(exp.select("*").from_(relation.copy()))
        with self._session() as session:
            found = session.ask(catalog.COLUMNS.format(statement=literal(statement)))
        for *_, number, message in found:
            if number:
                raise failure(number, message, self.where)
        named_ = distinct([name or "" for name, *_ in found])
        if "" in named_:
            raise ConnectorError("a column of the query has no name: give it one with AS")
        is_table = isinstance(relation, exp.Table)
        return tuple(
            types.column(name, declared, nullable=bool(nullable) or not is_table, as_text=name in as_text)
            for name, declared, nullable, *_ in found
        )

    def activity(self) -> Activity:
        """Who could still commit rows to this database."""
        with self._session() as session:
            return catalog.activity(session.ask, self._user)

    def since(self, relation: exp.Expr, position: str) -> exp.Expr | None:
        """By the table's rowversion column, where it has one."""
        if not isinstance(relation, exp.Table) or relation.catalog:
            return None
        with self._session() as session:
            found = session.ask(catalog.ROWVERSION.format(table=named(relation, self.search_path)))
        return not_before(found[0][0], position) if found else None

    def newest(self, relation: exp.Expr, column: str) -> int | None:
        """The highest committed value. Raises ConnectorError where the column has no order or is not there."""
        counted = {each.name for each in self.columns(relation) if types.is_rowversion(each)}
        value: exp.Expr = exp.column(column, quoted=True)
        highest = exp.Max(this=types.cast(value, "BIGINT") if column in counted else value)
        select = exp.select(types.cast(highest, "VARCHAR(41)").as_("number")).from_(relation.copy())
        with self._session() as session:
            session.begin(self.where)
            [(text,)] = session.ask(self._sql(select))
        return None if text is None else int(text)

    def sequential(self, relation: exp.Expr, column: str) -> bool:
        """Only an identity column that counts upwards is."""
        return bool(self._of_table(catalog.SEQUENTIAL, relation, column, 0))

    def settled(self, relation: exp.Expr, column: str) -> int | None:
        """Of a table's rowversion: the number below the lowest that a transaction still holds."""
        value = self._of_table(catalog.SETTLED, relation, column, None)
        return None if value is None else int(value)

    def facts(self, table: exp.Table) -> Facts:
        """The key, indexes, descriptions (MS_Description), and the text columns, which are all `loose`."""
        with self._session() as session:
            found = catalog.facts(session.ask, named(table, self.search_path))
        if found is None:
            raise failure(208, f"Invalid object name {table.sql(self.dialect)}", self.where)
        return found

    def tables(self) -> list[str]:
        """Tables and views that this user may read, those of other schemas with their name."""
        with self._session() as session:
            schema = self.search_path or session.ask(catalog.DEFAULT_SCHEMA)[0][0] or "dbo"
            return [name for (name,) in session.ask(catalog.TABLES.format(schema=literal(schema)))]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One SNAPSHOT transaction. Raises ConnectorError where the database does not allow it."""
        with self._session() as session:
            session.begin(self.where)
            yield SqlServerSnapshot(session, self)

    def check(self) -> list[str]:
        """Connect, and look for the privileges and the setting that reading needs."""
        try:
            tables = self.tables()
            self.activity()
            with self.snapshot():
                pass
        except (ConnectorError, DeclarationError) as error:
            return [str(error)]
        place = f"SQL Server {self.where}"
        return [] if tables else [f"{place} can read no table: GRANT SELECT on them to {self._user}"]

    def rendered(self, query: Query, *projection: exp.Expr) -> str:
        """The statement of a query."""
        return rendered(query.select(*projection), query.columns, self.search_path)

    @property
    def _user(self) -> str:
        return exp.to_identifier(self.user, quoted=True).sql(self.dialect)

    def _sql(self, tree: exp.Expr) -> str:
        return rendered(tree, schema=self.search_path)

    def _of_table(self, statement: str, relation: exp.Expr, column: str, other: Any) -> Any:
        """One value of the catalogue about a column of a table of this database; else `other`."""
        if not isinstance(relation, exp.Table) or relation.catalog:
            return other
        filled = statement.format(table=named(relation, self.search_path), column=literal(column))
        with self._session() as session:
            rows = session.ask(filled)
        return rows[0][0] if rows else other

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with translated(self.where), dialled(self.dial, reveal(self.password)) as connection:
            yield Session(connection)

    @property
    def dial(self) -> Dial:
        """The settings of a connection."""
        timeout = 0 if self.statement_timeout == "0" else int(seconds(self.statement_timeout).total_seconds())
        return Dial(
            self.host, self.port, self.database, self.user, self.application_name, self.encrypt, self.connect_timeout,
            timeout, None if self.trust_server_certificate else self.ca_file or "", self.host_name_in_certificate,
        )  # fmt: skip


class Session:
    """One connection, asked one statement at a time. Used inside `translated`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def ask(self, statement: str) -> list[Row]:
        """All the rows of a statement."""
        return list(self.stream(statement).fetchall())

    def stream(self, statement: str) -> Any:
        """An open cursor; what the one before has not handed out is dropped."""
        cursor = self._connection.cursor()
        cursor.execute(statement)
        return cursor

    def begin(self, where: str) -> None:
        """Begin a SNAPSHOT transaction, and look at the database: that is when SQL Server takes the view."""
        [(state, name)] = self.ask(catalog.SNAPSHOT)
        if state != ALLOWED:
            raise ConnectorError(
                f"SQL Server {where} does not allow snapshots, without which a reading is not of one moment: run"
                f" ALTER DATABASE {name} SET ALLOW_SNAPSHOT_ISOLATION ON"
            )
        for statement in ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "BEGIN TRANSACTION"):
            self.stream(statement)
        self.ask(catalog.LOOK)
        [(level,)] = self.ask(catalog.LEVEL)
        if level != SNAPSHOT_LEVEL:
            raise ConnectorError(
                f"SQL Server {where} runs at isolation level {level}, {SNAPSHOT_LEVEL} (SNAPSHOT) is needed: something"
                " in between seems to drop the setting; connect to the server itself"
            )


class SqlServerSnapshot:
    """One transaction on one connection; closing the connection rolls it back."""

    def __init__(self, session: Session, database: SqlServer) -> None:
        self._session = session
        self._database = database

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Stream the rows in batches of about 4 MiB."""
        statement = self._database.rendered(query, *numbered(map(types.wire, query.columns)))
        with translated(self._database.where):
            for rows in chunks(self._session.stream(statement).fetchmany):
                yield batch_of(query.columns, map(types.rebuilt, query.columns, by_column(rows)))

    def count(self, query: Query) -> int:
        """How many rows satisfy the query."""
        counted = exp.alias_(types.call("COUNT_BIG", exp.Star()), "number")
        statement = self._database.rendered(query, counted)
        with translated(self._database.where):
            return int(self._session.ask(statement)[0][0])
