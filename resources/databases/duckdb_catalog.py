"""What DuckDB's catalogue says of a table: key, indexes, comments, collations.

Some of it only stands in the SQL that the table was made with, which is parsed here and never run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from resources.databases.base import Facts

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NAMED = "database_name = current_database() AND lower(schema_name) = lower($1) AND lower({name}) = lower($2)"
KIND = f"""
SELECT sql, coalesce(comment, ''), false FROM duckdb_tables() WHERE {NAMED.format(name="table_name")}
UNION ALL SELECT '', coalesce(comment, ''), true FROM duckdb_views() WHERE {NAMED.format(name="view_name")}
"""
COLUMNS = f"""
SELECT column_name, coalesce(comment, ''), NOT is_nullable FROM duckdb_columns()
WHERE {NAMED.format(name="table_name")}
"""
CONSTRAINTS = f"""
SELECT constraint_column_names FROM duckdb_constraints()
WHERE {NAMED.format(name="table_name")} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')
ORDER BY constraint_type, constraint_index
"""
INDEXES = f"SELECT is_unique, sql FROM duckdb_indexes() WHERE {NAMED.format(name='table_name')} ORDER BY index_name"


def facts(connection: DuckDBPyConnection, table: exp.Table) -> Facts | None:
    """The facts of a table or view, None when there is none of that name."""
    named = [table.db or "main", table.name]
    found = connection.execute(KIND, named).fetchone()
    if found is None:
        return None
    sql, comment, is_view = found
    columns = connection.execute(COLUMNS, named).fetchall()
    filled = {name for name, _, not_null in columns if not_null}
    constraints = [tuple(names) for (names,) in connection.execute(CONSTRAINTS, named).fetchall()]
    made = [(unique, *indexed(text)) for unique, text in connection.execute(INDEXES, named).fetchall()]
    unique = [*constraints, *(names for is_unique, names, whole in made if is_unique and whole)]
    said = {"": comment} | {name: text for name, text, _ in columns}
    return Facts(
        key=next((names for names in unique if filled.issuperset(names)), ()),
        indexes=tuple(dict.fromkeys([*constraints, *(names for _, names, _ in made if names)])),
        comments={name: text for name, text in said.items() if text},
        loose=collated(sql) if sql else frozenset(),
        is_view=is_view,
    )


def indexed(sql: str) -> tuple[tuple[str, ...], bool]:
    """The columns of a CREATE INDEX up to its first expression, and whether these are all of it."""
    found = sqlglot.parse_one(sql, dialect="duckdb").find(exp.IndexParameters)
    parts = [each.this if isinstance(each, exp.Ordered) else each for each in (found.args["columns"] if found else [])]
    names: list[str] = []
    for part in parts:
        if not isinstance(part, exp.Column):
            break
        names.append(part.name)
    return tuple(names), len(names) == len(parts)


def collated(sql: str) -> frozenset[str]:
    """The columns of a CREATE TABLE that have a collation: without one, texts go by their bytes."""
    made = sqlglot.parse_one(sql, dialect="duckdb")
    return frozenset(each.name for each in made.find_all(exp.ColumnDef) if each.find(exp.CollateColumnConstraint))
