"""How the tests read: a relation from its text, and all its rows in one go. No assertions here."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from resources.databases.base import Database, Query

FOLDS_TO_CAPITALS = frozenset({"oracle"})
"""Dialects that would read a bare `t` as `T`: the suite's tables keep their small letters."""


def relation(database: Database, text: str) -> exp.Expr:
    """A table or an aliased subquery, parsed in the database's dialect."""
    found = sqlglot.parse_one(f"SELECT * FROM {text}", dialect=database.dialect).args["from_"].this
    assert isinstance(found, exp.Expr)
    return found.transform(small) if database.dialect in FOLDS_TO_CAPITALS else found


def query(database: Database, text: str, *where: exp.Expr, as_text: frozenset[str] = frozenset()) -> Query:
    """Every column of a relation, under conditions."""
    source = relation(database, text)
    return Query(source, database.columns(source, as_text), where)


def table(database: Database, text: str, *where: exp.Expr, as_text: frozenset[str] = frozenset()) -> pa.Table:
    """What a fresh snapshot shows of a relation, each batch checked against the columns that were promised."""
    asked = query(database, text, *where, as_text=as_text)
    schema = pa.schema([(column.name, column.type) for column in asked.columns])
    with database.snapshot() as snapshot:
        batches = list(snapshot.read(asked))
    assert all(batch.schema.equals(schema) for batch in batches)
    return pa.Table.from_batches(batches, schema=schema)


def rows(
    database: Database, text: str, *where: exp.Expr, as_text: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """The rows of a relation, in the order of their first column."""
    found: list[dict[str, Any]] = table(database, text, *where, as_text=as_text).to_pylist()
    return sorted(found, key=lambda row: next(iter(row.values())) or 0)


def column(name: str) -> exp.Column:
    """A quoted column."""
    return exp.column(name, quoted=True)


def small(node: exp.Expr) -> exp.Expr:
    """A bare name in small letters, quoted."""
    is_small = isinstance(node, exp.Identifier) and node.name.islower()
    return exp.to_identifier(node.name, quoted=True) if is_small else node
