"""Oracle Database: rows by python-oracledb in its thin mode, in one SET TRANSACTION READ ONLY.

How types travel, how trees are spelled, what the dictionary is asked and what errors mean is in the files named
oracle_*.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field
from sqlglot import exp

from resources.databases import oracle_catalog as catalog
from resources.databases import oracle_types as types
from resources.databases.base import Activity, Column, Database, Facts, Query, Snapshot
from resources.databases.chunks import by_column, chunks, numbered
from resources.databases.oracle_errors import connecting, failure, translated
from resources.databases.oracle_sql import rendered
from resources.databases.values import batch_of, distinct
from resources.secrets import reveal
from spec.base import Duration, seconds
from spec.errors import ConnectorError, DeclarationError
from spec.secrets import Secret

PORTS = {"tcps": 2484, "tcp": 1521}
KEEPALIVE_MINUTES = 2
FORMATS = {
    "CALENDAR": "GREGORIAN",
    "LANGUAGE": "AMERICAN",
    "NUMERIC_CHARACTERS": ".,",
    "COMP": "BINARY",
    "SORT": "BINARY",
    "DATE_FORMAT": "YYYY-MM-DD HH24:MI:SS",
    "TIMESTAMP_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF",
    "TIMESTAMP_TZ_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF TZH:TZM",
}
SESSION = (
    "ALTER SESSION SET TIME_ZONE = 'UTC'",
    "ALTER SESSION SET " + " ".join(f"NLS_{name} = '{value}'" for name, value in FORMATS.items()),
)
READ_ONLY = "SET TRANSACTION READ ONLY"
ROWS_AT_ONCE, LARGE_ROWS_AT_ONCE = 2_000, 50
"""How many rows the driver holds: few where one may have a large object in it."""


class Oracle(Database):
    """An Oracle database of 19c or newer, read as one user, who needs CREATE SESSION and SELECT."""

    dialect: ClassVar[str] = "oracle"

    type: Literal["oracle"] = "oracle"
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(default=None, description="2484 with tcps, else 1521")
    service_name: str
    user: str
    password: Secret
    protocol: Literal["tcps", "tcp"] = "tcps"
    wallet_location: str | None = Field(default=None, description="a folder with ewallet.pem")
    wallet_password: Secret | None = None
    ssl_server_dn_match: bool = True
    ssl_server_cert_dn: str | None = None
    search_path: str | None = Field(default=None, alias="schema", description="where unqualified tables are looked up")
    connect_timeout: Annotated[int, Field(ge=1, description="seconds")] = 10
    statement_timeout: Literal["0"] | Duration = Field(default="0", description="0 is none; for each answer")
    application_name: str = "outgate"

    @property
    def where(self) -> str:
        """The place as messages name it."""
        return f"{self.host}:{self.arguments['port']}/{self.service_name} as {self.user!r}"

    def columns(self, relation: exp.Expr, as_text: frozenset[str] = frozenset()) -> tuple[Column, ...]:
        """The columns. Raises ConnectorError for two of one name."""
        with self._session() as session:
            found = session.described(rendered(exp.select("*").from_(relation.copy()).where(exp.false())))
        distinct([each.name for each in found])
        is_table = isinstance(relation, exp.Table)
        return tuple(
            types.column(each, nullable=each.nullable or not is_table, as_text=each.name in as_text) for each in found
        )

    def activity(self) -> Activity:
        """Who could still commit rows to this database."""
        with self._session() as session:
            return catalog.activity(session.ask, self._user)

    def newest(self, relation: exp.Expr, column: str) -> int | None:
        """The highest committed value. Raises ConnectorError where the column has no order or is not there."""
        highest = exp.Max(this=exp.column(column, quoted=True))
        with self._session() as session:
            [(text,)] = session.ask(rendered(exp.select(highest).from_(relation.copy())))
        return None if text is None else int(text)

    def sequential(self, relation: exp.Expr, column: str) -> bool:
        """Only an identity column is whose sequence is NOCACHE or ORDER, and counts upwards."""
        if not isinstance(relation, exp.Table):
            return False
        named = {"owner": catalog.stored(relation.args.get("db")), "name": catalog.stored(relation.this)}
        with self._session() as session:
            return bool(int(session.ask(catalog.SEQUENTIAL, **named, column_name=column)[0][0]))

    def facts(self, table: exp.Table) -> Facts:
        """The key, indexes, comments and collations."""
        owner, name = catalog.stored(table.args.get("db")), catalog.stored(table.this) or ""
        with self._session() as session:
            found = catalog.facts(session.ask, owner, name)
        if found is None:
            said = f"ORA-00942: table or view {table.sql(self.dialect)} does not exist"
            raise failure(said, self.where, recoverable=False)
        return found

    def tables(self) -> list[str]:
        """Tables and views that this user may read, those of other schemas with their name."""
        with self._session() as session:
            return [name for (name,) in session.ask(catalog.TABLES)]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One READ ONLY transaction, whose view is taken before this returns."""
        with self._session() as session:
            yield OracleSnapshot(session, self.where)

    def check(self) -> list[str]:
        """Connect, and look for the privileges that reading needs."""
        try:
            tables = self.tables()
            self.activity()
        except (ConnectorError, DeclarationError) as error:
            return [str(error)]
        place = f"Oracle {self.where}"
        return [] if tables else [f"{place} can read no table: GRANT SELECT on them to {self._user}"]

    @property
    def arguments(self) -> dict[str, Any]:
        """What the driver is called with, but for the secrets."""
        return {
            "host": self.host,
            "port": self.port or PORTS[self.protocol],
            "protocol": self.protocol,
            "service_name": self.service_name,
            "user": self.user,
            "wallet_location": self.wallet_location,
            "ssl_server_dn_match": self.ssl_server_dn_match,
            "ssl_server_cert_dn": self.ssl_server_cert_dn,
            "tcp_connect_timeout": float(self.connect_timeout),
            "expire_time": KEEPALIVE_MINUTES,
            "retry_count": 0,
            "program": self.application_name,
        }

    @property
    def _user(self) -> str:
        return exp.to_identifier(self.user.upper(), quoted=True).sql(self.dialect)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        secrets = {"password": reveal(self.password)}
        if self.wallet_password is not None:
            secrets["wallet_password"] = reveal(self.wallet_password)
        with connecting(self.where):
            import oracledb

            connection = oracledb.connect(**self.arguments, **secrets)
        try:
            with translated(self.where):
                yield self._prepared(connection)
        finally:
            with suppress(oracledb.Error):  # of a connection that is lost already
                connection.close()

    def _prepared(self, connection: Any) -> Session:
        """The session as every reading needs it, in a READ ONLY transaction."""
        if self.statement_timeout != "0":
            connection.call_timeout = int(seconds(self.statement_timeout).total_seconds() * 1000)
        session = Session(connection, self.where)
        schema = self.search_path and exp.to_identifier(self.search_path, quoted=True).sql(self.dialect)
        where = (f"ALTER SESSION SET CURRENT_SCHEMA = {schema}",) if schema else ()
        for statement in (*SESSION, *where, READ_ONLY):
            session.stream(statement)
        return session


class Session:
    """One connection, asked one statement at a time. Closing it ends its transaction."""

    def __init__(self, connection: Any, where: str) -> None:
        self._connection = connection
        self._where = where

    def ask(self, statement: str, **values: Any) -> list[catalog.Row]:
        """All the rows of a statement, numbers as text."""
        with translated(self._where), self.stream(statement, **values) as cursor:
            return list(cursor.fetchall())

    def stream(self, statement: str, at_once: int = ROWS_AT_ONCE, **values: Any) -> Any:
        """An open cursor; numbers come as text, and large objects as they are."""
        cursor = self._connection.cursor()
        cursor.arraysize = at_once
        cursor.outputtypehandler = _numbers_as_text
        cursor.execute(statement, values or None, fetch_lobs=False)
        return cursor

    def described(self, statement: str) -> list[types.Described]:
        """The result's columns."""
        with translated(self._where), self.stream(statement) as cursor:
            return [_described(each) for each in cursor.description]


class OracleSnapshot:
    """One transaction on one connection."""

    def __init__(self, session: Session, where: str) -> None:
        self._session = session
        self._where = where

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Stream the rows in batches of about 4 MiB."""
        statement = rendered(query.select(*numbered(map(types.wire, query.columns))), query.columns)
        at_once = LARGE_ROWS_AT_ONCE if any(map(types.is_large, query.columns)) else ROWS_AT_ONCE
        with translated(self._where), self._session.stream(statement, at_once) as cursor:
            for rows in chunks(cursor.fetchmany):
                yield batch_of(query.columns, map(types.rebuilt, query.columns, by_column(rows)))

    def count(self, query: Query) -> int:
        """How many rows satisfy the query."""
        statement = rendered(query.select(exp.Count(this=exp.Star())), query.columns)
        return int(self._session.ask(statement)[0][0])


def _numbers_as_text(cursor: Any, described: Any) -> Any:
    """A NUMBER that became a float would have lost digits before anybody could look."""
    import oracledb

    if described.type_code is oracledb.DB_TYPE_NUMBER:
        return cursor.var(oracledb.DB_TYPE_VARCHAR, arraysize=cursor.arraysize)
    return None


def _described(found: Any) -> types.Described:
    return types.Described(
        found.name, found.type_code.name, found.display_size, found.precision, found.scale, bool(found.null_ok),
        bool(found.is_json),
    )  # fmt: skip
