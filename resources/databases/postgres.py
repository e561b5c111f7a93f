"""PostgreSQL: the catalogue and the activity by psycopg, the rows by ADBC's COPY in one repeatable, read-only view.

How types travel, what the catalogue is asked and what errors mean is in the three files named postgres_*.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field
from sqlglot import exp, parse_one

from resources.databases import postgres_catalog as catalog
from resources.databases import postgres_types as types
from resources.databases.base import Activity, Column, Database, Facts, Query, Snapshot
from resources.databases.postgres_errors import translated
from resources.databases.postgres_facts import facts
from resources.databases.values import batch_of, distinct, refused
from resources.secrets import reveal
from spec.base import Duration, seconds
from spec.errors import ConnectorError, DeclarationError
from spec.secrets import Secret

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

BATCH_BYTES = 4 << 20
CANNOT_CONVERT = "0A000"
SESSION = {
    "TimeZone": "UTC",
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "on",
    "standard_conforming_strings": "on",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "60s",
}
EXPECTED = ("transaction_isolation", "repeatable read"), ("transaction_read_only", "on"), ("TimeZone", "UTC")


class Postgres(Database):
    """A PostgreSQL database, read as one user. The user needs SELECT, and pg_read_all_stats for the horizon `gate`."""

    dialect: ClassVar[str] = "postgres"

    type: Literal["postgres"] = "postgres"
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    database: str
    user: str
    password: Secret
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "verify-full"
    sslrootcert: str | None = Field(default=None, description="a file of certificates, or `system`")
    search_path: str | None = Field(default=None, alias="schema", description="where unqualified tables are looked up")
    connect_timeout: Annotated[int, Field(ge=1, description="seconds")] = 10
    statement_timeout: Literal["0"] | Duration = Field(default="0", description="0 is none")
    application_name: str = "outgate"
    keepalives: bool = True

    @property
    def where(self) -> str:
        """The place as messages name it."""
        return f"{self.host}:{self.port}/{self.database} as {self.user!r}"

    def columns(self, relation: exp.Expr, as_text: frozenset[str] = frozenset()) -> tuple[Column, ...]:
        """The columns, domains resolved to their base types. Raises ConnectorError for two of one name."""
        statement = exp.select("*").from_(relation.copy()).limit(0).sql(self.dialect)
        with self._session() as session:
            result = session.execute(statement.encode()).pgresult
            found = _described(result) if result else []
            distinct([each.name for each in found])
            return catalog.columns(session, found, is_table=isinstance(relation, exp.Table), as_text=as_text)

    def activity(self) -> Activity:
        """Who could still commit rows to this database."""
        with self._session() as session:
            return catalog.activity(session, f"{self.host}:{self.port}/{self.database}")

    def since(self, relation: exp.Expr, position: str) -> exp.Expr | None:
        """By the transaction that wrote the row's version, which tables and materialized views show."""
        if not isinstance(relation, exp.Table):
            return None
        with self._session() as session:
            if not catalog.one(session, catalog.HAS_XMIN, (_named(relation),)):
                return None
        return exp.GTE(this=parse_one(catalog.SINCE, dialect=self.dialect), expression=exp.Literal.number(position))

    def newest(self, relation: exp.Expr, column: str) -> int | None:
        """The highest committed value. Raises ConnectorError where the column has no order or is not there."""
        highest = exp.Max(this=exp.column(column, quoted=True))
        statement = exp.select(highest).from_(relation.copy()).sql(self.dialect)
        with self._session() as session:
            value: Any = catalog.one(session, statement.encode())
        return None if value is None else int(value)

    def sequential(self, relation: exp.Expr, column: str) -> bool:
        """Only an identity or serial column whose own sequence counts upwards, without cache and cycle, is."""
        if not isinstance(relation, exp.Table):
            return False
        with self._session() as session:
            return bool(catalog.one(session, catalog.SEQUENTIAL, (_named(relation), column)))

    def facts(self, table: exp.Table) -> Facts:
        """Key, indexes, comments and collations."""
        with self._session() as session:
            found = facts(session, _named(table))
        if found is None:
            raise ConnectorError(
                f"PostgreSQL {self.where} has no table {table.name!r}: check its name and the connector's `schema`"
            )
        return found

    def tables(self) -> list[str]:
        """Tables and views that this user may read, those off the search path with their schema."""
        with self._session() as session:
            return [name for (name,) in session.execute(catalog.TABLES).fetchall()]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One REPEATABLE READ, READ ONLY transaction, whose view is taken before this returns."""
        import adbc_driver_postgresql.dbapi as adbc

        with translated(self.where):
            connection = adbc.connect(self._conninfo)
        try:
            view = PostgresSnapshot(connection, self.where)
            view.begin()
            yield view
        finally:
            connection.close()

    def check(self) -> list[str]:
        """Connect in both ways, and look for tables. What only some exports need is in `activity` and `facts`."""
        try:
            problems = (
                [] if self.tables() else [f"PostgreSQL {self.where} can read no table: GRANT SELECT on them to it"]
            )
            with self.snapshot():
                pass
        except (ConnectorError, DeclarationError) as error:
            return [str(error)]
        return problems

    @contextmanager
    def _session(self) -> Iterator[Connection[TupleRow]]:
        import psycopg

        with translated(self.where), psycopg.connect(self._conninfo, autocommit=True) as session:
            yield session

    @property
    def _conninfo(self) -> str:
        from psycopg.conninfo import make_conninfo

        return make_conninfo(
            host=self.host, port=self.port, dbname=self.database, user=self.user, password=reveal(self.password),
            sslmode=self.sslmode, sslrootcert=self.sslrootcert, connect_timeout=self.connect_timeout,
            application_name=self.application_name, client_encoding="UTF8", options=self._options,
            keepalives=int(self.keepalives), keepalives_idle=60, keepalives_interval=10, keepalives_count=6,
        )  # fmt: skip

    @cached_property
    def _options(self) -> str:
        timeout = 0 if self.statement_timeout == "0" else int(seconds(self.statement_timeout).total_seconds() * 1000)
        settings = SESSION | {"statement_timeout": str(timeout)}
        if self.search_path is not None:
            settings["search_path"] = exp.to_identifier(self.search_path, quoted=True).sql(self.dialect)
        escaped = {name: value.replace("\\", "\\\\").replace(" ", "\\ ") for name, value in settings.items()}
        return " ".join(f"-c {name}={value}" for name, value in escaped.items())


class PostgresSnapshot:
    """One transaction on one connection. A read that is left early is drained before the next."""

    def __init__(self, connection: Any, where: str) -> None:
        self._connection = connection
        self._where = where

    def begin(self) -> None:
        """Take the view, and make sure that no pooler in between dropped what it depends on."""
        names = [name for name, _ in EXPECTED]
        wanted = exp.select(*(exp.func("current_setting", exp.Literal.string(name)).as_(name) for name in names))
        found = self._row(wanted.sql("postgres"))
        for (name, value), actual in zip(EXPECTED, found, strict=True):
            if actual != value:
                raise ConnectorError(
                    f"PostgreSQL {self._where} runs with {name} = {actual!r}, {value!r} is needed: a pooler seems to"
                    " drop the connection's `options`; connect to the server itself, or let the pooler pass them"
                )

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Stream the rows in batches of about 4 MiB."""
        guards = types.guards(query.columns)
        projection = [types.wire(column) for column in query.columns]
        projection += [types.dimensions(guard, column) for guard, column in guards.items()]
        statement = query.select(*projection).sql("postgres")
        for batch in self._batches(statement, types.scaled(query.columns)):
            for guard, column in guards.items():
                types.flat(column, batch.column(guard))
            yield batch_of(query.columns, map(types.rebuilt, query.columns, batch.columns[: len(query.columns)]))

    def count(self, query: Query) -> int:
        """How many rows satisfy the query."""
        return int(self._row(query.select(exp.Count(this=exp.Star())).sql("postgres"))[0])

    def _batches(self, statement: str, scaled: list[Column]) -> Iterator[pa.RecordBatch]:
        import adbc_driver_manager
        from adbc_driver_postgresql import StatementOptions

        hint = {StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)}
        with translated(self._where), self._connection.cursor(adbc_stmt_kwargs=hint) as cursor:
            try:
                cursor.execute(statement)
                reader = cursor._results.reader  # noqa: SLF001  (the public reader loses the SQLSTATE of a late error)
                yield from (batch for batch in iter(lambda: _next(reader), None) if batch.num_rows)
            except adbc_driver_manager.NotSupportedError as error:
                if error.sqlstate == CANNOT_CONVERT and scaled:
                    raise refused(scaled[0], _among(scaled)) from None
                raise

    def _row(self, statement: str) -> tuple[Any, ...]:
        with translated(self._where), self._connection.cursor() as cursor:
            cursor.execute(statement)
            row: tuple[Any, ...] = cursor.fetchone()
            return row


def _named(table: exp.Table) -> str:
    return exp.Table(this=table.this.copy(), db=table.args.get("db")).sql("postgres")


def _next(reader: Any) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _among(columns: list[Column]) -> str:
    names = ", ".join(repr(column.name) for column in columns[1:])
    return f"NaN (or one of {names} does)" if names else "NaN"


def _described(result: Any) -> list[catalog.Described]:
    numbers = range(result.nfields)
    return [
        catalog.Described(
            result.fname(n).decode(), result.ftype(n), result.fmod(n), result.ftable(n), result.ftablecol(n)
        )
        for n in numbers
    ]  # fmt: skip
