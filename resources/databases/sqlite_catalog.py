"""What SQLite's schema says: columns and their declared types, keys, indexes, collations.

Fixed statements with bound parameters, on a connection that somebody else opened.
"""

from __future__ import annotations

import sqlite3
from itertools import takewhile
from typing import Any

from sqlglot import exp

from resources.databases import sqlite_types as types
from resources.databases.base import Column, Facts
from resources.databases.sqlite_sql import sql
from resources.databases.values import distinct
from spec.errors import ConnectorError

TABLES = """
SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name
"""
KIND = "SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')"
OWN = 'SELECT name, upper(type), "notnull", pk FROM pragma_table_xinfo(?) WHERE hidden <> 1'
INDEXES = 'SELECT name, "unique", origin FROM pragma_index_list(?) WHERE NOT partial ORDER BY seq'
INDEXED = "SELECT name FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno"
COUNTS_UP = """
SELECT EXISTS (SELECT 1 FROM sqlite_master m, pragma_table_xinfo(m.name) c
               WHERE m.type = 'table' AND m.name = ? COLLATE NOCASE AND m.sql LIKE '%AUTOINCREMENT%'
                 AND c.name = ? AND c.pk = 1 AND upper(c.type) = 'INTEGER')
"""
PROBE = ("a", "A", "a ")
"""Three texts that a collation by code points tells apart."""


def one(session: sqlite3.Connection, statement: str, parameters: tuple[str, ...] = ()) -> Any:
    """The first value of a statement, None where there is no row."""
    row = session.execute(statement, parameters).fetchone()
    return row[0] if row else None


def tables(session: sqlite3.Connection) -> list[str]:
    """The names of tables and views."""
    return [name for (name,) in session.execute(TABLES)]


def counts_up(session: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether a column is an INTEGER PRIMARY KEY AUTOINCREMENT."""
    return bool(one(session, COUNTS_UP, (table, column)))


def columns(session: sqlite3.Connection, relation: exp.Expr, as_text: frozenset[str]) -> tuple[Column, ...]:
    """The columns of a table or subquery: a view knows the types of columns, a table those of expressions."""
    everything = exp.select("*").from_(relation.copy())
    inner = relation.this if isinstance(relation, exp.Subquery) else everything  # outside of it, twins have new names
    distinct([name for name, *_ in session.execute(sql(inner.limit(0))).description])
    session.execute(f"CREATE TEMP VIEW outgate_columns AS {sql(everything)}")
    declared = _typed(session, "outgate_columns")
    session.execute(f"CREATE TEMP TABLE outgate_expressions AS {sql(everything.limit(0))}")
    computed = _typed(session, "outgate_expressions")
    filled = _filled(session, relation.name) if isinstance(relation, exp.Table) else frozenset()
    return tuple(
        types.column(name, kind or computed.get(name, ""), nullable=name not in filled, as_text=name in as_text)
        for name, kind in declared.items()
    )


def facts(session: sqlite3.Connection, table: exp.Table, path: str) -> Facts:
    """Keys, indexes and collations. Raises ConnectorError when there is no such table."""
    kind = one(session, KIND, (table.name,))
    if kind is None:
        raise ConnectorError(f"SQLite {path!r} has no table {table.name!r}: check the table's name")
    filled, primary = _filled(session, table.name), _primary(session, table.name)
    found = [(unique, *_indexed(session, name)) for name, unique, _ in session.execute(INDEXES, (table.name,))]
    unique = [names for is_unique, names, whole in found if is_unique and whole and filled.issuperset(names)]
    indexes = dict.fromkeys([*([primary] if primary else []), *(names for _, names, _ in found if names)])
    return Facts(
        key=primary or next(iter(unique), ()),
        indexes=tuple(indexes),
        loose=frozenset(name for name in _texts(session, table.name) if _loose(session, table, name)),
        is_view=kind == "view",
    )


def _typed(session: sqlite3.Connection, name: str) -> dict[str, str]:
    return {
        each[0]: each[1] for each in session.execute("SELECT name, type FROM pragma_table_info(?, 'temp')", (name,))
    }


def _primary(session: sqlite3.Connection, table: str) -> tuple[str, ...]:
    rows = session.execute(f"{OWN} AND pk > 0 ORDER BY pk", (table,)).fetchall()
    return tuple(name for name, *_ in rows)


def _filled(session: sqlite3.Connection, table: str) -> frozenset[str]:
    """The columns that are never NULL. A primary key may hold NULLs, unless it is the row's own number."""
    rows = session.execute(OWN, (table,)).fetchall()
    keys = [(name, kind) for name, kind, _, position in rows if position]
    indexed = any(origin == "pk" for _, _, origin in session.execute(INDEXES, (table,)))
    number = {name for name, kind in keys if len(keys) == 1 and kind == "INTEGER" and not indexed}
    return frozenset(name for name, _, not_null, _ in rows if not_null) | number


def _indexed(session: sqlite3.Connection, index: str) -> tuple[tuple[str, ...], bool]:
    """The columns of an index up to its first expression (what follows that cannot be looked up alone), and whether
    these are all of it.
    """
    parts = [name for (name,) in session.execute(INDEXED, (index,))]
    names = tuple(takewhile(lambda name: name is not None, parts))
    return names, len(names) == len(parts)


def _texts(session: sqlite3.Connection, table: str) -> list[str]:
    found = [
        (name, types.column(name, kind, nullable=True, as_text=False))
        for name, kind, *_ in session.execute(OWN, (table,))
    ]
    return [name for name, column in found if column.type == types.TEXT]


def _loose(session: sqlite3.Connection, table: exp.Table, name: str) -> bool:
    """Whether a column's collation calls different texts equal: a UNION goes by that of its first column."""
    first = exp.select(exp.column(name, quoted=True)).from_(exp.table_(table.name, quoted=True)).limit(0)
    parts = [f"SELECT * FROM ({sql(first)})", *("SELECT ?" for _ in PROBE)]
    try:
        return bool(one(session, f"SELECT count(*) FROM ({' UNION '.join(parts)})", PROBE) < len(PROBE))
    except sqlite3.OperationalError:  # a collation that only the writer's own program has
        return True
