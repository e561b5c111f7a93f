"""The contract of a database: what it can be asked before a read, and the read itself, in one read-only snapshot.

The rules that hold for every database (which windows may be read, what a horizon is, how a window is cut) are not here
but in the assets room; a database only tells the facts about itself and renders SQL in its own dialect.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

import pyarrow as pa
from sqlglot import exp

from resources.connector import Connector


@dataclass(frozen=True)
class Column:
    """One column as the database declares it and as its batches will carry it.

    `declared` is the source's own type text ("numeric(38,10)"), which is what the schema fingerprint is made of.
    `type` is the Arrow type of the batches that `Snapshot.read` yields: decimals exact, timestamps in microseconds
    (with zone UTC where the column has one), and text for whatever has no exact Arrow type. `json` marks text that is
    JSON.
    """

    name: str
    declared: str
    type: pa.DataType
    nullable: bool = True
    json: bool = False


@dataclass(frozen=True)
class Query:
    """What to read: columns of a relation that satisfy every condition; in no order, unless it is said.

    `relation` is a table or an aliased subquery, already parsed and checked; `where` holds conditions whose values are
    literal nodes and whose columns exist. `order` names columns, ascending; `limit` is the highest number of rows.
    """

    relation: exp.Expr
    columns: tuple[Column, ...]
    where: tuple[exp.Expr, ...] = ()
    order: tuple[str, ...] = ()
    limit: int | None = None

    def select(self, *projection: exp.Expr) -> exp.Select:
        """The SELECT of `projection`, by default of the query's own columns."""
        columns = projection or tuple(exp.column(column.name, quoted=True) for column in self.columns)
        select = exp.select(*(column.copy() for column in columns)).from_(self.relation.copy())
        for condition in self.where:
            select = select.where(condition.copy())
        if self.order:
            select = select.order_by(*(exp.column(name, quoted=True) for name in self.order))
        return select if self.limit is None else select.limit(self.limit)


@dataclass(frozen=True)
class Activity:
    """Who else could still commit rows, as far as the database lets us see.

    `clock` is the database's own, aware. `open` names each transaction open now (stable over its life, such as
    "pid/xact_start"), `oldest` is the earliest start of one. `blind` says in a sentence why `open` cannot be trusted
    to be complete ("" when it can), and `remedy` is the SQL that would mend it, if there is one; the horizon is then
    the declared lag. `detail` is for people: pid, age, application. `position` is what `Database.since` takes.
    """

    clock: datetime
    server: str
    open: frozenset[str] = field(default_factory=frozenset)
    oldest: datetime | None = None
    blind: str = ""
    remedy: str = ""
    detail: str = ""
    position: str = ""


@dataclass(frozen=True)
class Facts:
    """What the catalogue says of a table beyond its columns; all empty for what it does not know, such as a view's key.

    `key` is the primary key, or else a unique index whose columns are all NOT NULL. `indexes` holds each index's
    columns in order, those of the key included; expressions are left out. `comments` is by column, "" the table's own.
    `loose` names text columns whose collation calls different texts equal or does not sort by code point.
    """

    key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    comments: Mapping[str, str] = field(default_factory=dict)
    loose: frozenset[str] = field(default_factory=frozenset)
    is_view: bool = False


class Snapshot(Protocol):
    """One read-only, repeatable view of the database."""

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Stream the rows as batches of exactly `query.columns`' names and types, in bounded memory.

        Raises RowsRefused for a value that its Arrow type cannot carry (an infinite timestamp, NaN in a decimal).
        """

    def count(self, query: Query) -> int:
        """How many rows satisfy the query."""


class Database(Connector):
    """A database that can be read. Errors of the driver leave as ConnectorError, without a secret in them."""

    dialect: ClassVar[str]
    """The sqlglot dialect that this database speaks."""

    @abstractmethod
    def columns(self, relation: exp.Expr, as_text: frozenset[str] = frozenset()) -> tuple[Column, ...]:
        """The columns of a table or subquery, in order; those in `as_text` are read as the source's text of them."""

    @abstractmethod
    def activity(self) -> Activity:
        """Who could still commit rows. Taken before the snapshot that it speaks for.

        Raises ConnectorError when the database cannot be reached; what only opening it can tell, `snapshot` tells.
        """

    def since(self, relation: exp.Expr, position: str) -> exp.Expr | None:  # noqa: ARG002
        """A condition that holds for every row that was not visible yet when `Activity.position` was taken, and for as
        few others as may be. None where the database cannot tell; all rows are candidates then.
        """
        return None

    @abstractmethod
    def newest(self, relation: exp.Expr, column: str) -> int | None:
        """The highest committed value of an integer column, None when there are no rows."""

    @abstractmethod
    def sequential(self, relation: exp.Expr, column: str) -> bool:
        """Whether the database itself hands out this column's values one by one, in order (no cache, no pool)."""

    def settled(self, relation: exp.Expr, column: str) -> int | None:  # noqa: ARG002
        """The highest value of `column` below which nothing can be committed any more, where the database itself can
        tell (SQL Server of a rowversion). None where it cannot: `newest`, `activity` and `sequential` decide then.
        """
        return None

    @abstractmethod
    def facts(self, table: exp.Table) -> Facts:
        """What the catalogue says of a table or view. Raises ConnectorError when there is none of that name."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open the one view that a reading is made in; closing it ends the transaction and the connection."""

    @abstractmethod
    def tables(self) -> list[str]:
        """The tables and views that can be read, for suggestions in error messages."""
