"""Trees as T-SQL, where the dialect's own rendering would say something else than the tree does.

Text beyond ASCII needs an N before it, a rowversion and a datetime are compared as what they are, and a table without a
schema is looked up in the connector's. What is asked for is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlglot import exp

from resources.databases.base import Column
from resources.databases.sqlserver_types import ROWVERSION, call, cast

TICK = re.compile(r"(17[6-9]|1[89]\d|[2-9]\d\d)\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d\d[037]0*)?")
"""A moment without a zone that a `datetime` can hold, from 1760 on: a third of 10 ms, written with three digits."""

COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
PLAIN = re.compile(r"[\x01-\x5b\x5d-\x7f]*")
CONTINUED = re.compile(r"(?<=\\)(?=[\r\n])|(\x00)")
"""Where a literal must be cut: a backslash before a line's end makes both vanish, and a NUL ends the statement."""


def rendered(tree: exp.Expr, columns: Iterable[Column] = (), schema: str | None = None) -> str:
    """The statement's text. `columns` are those that its conditions may compare."""
    declared = {column.name: column.declared for column in columns if column.declared in LIKE}
    tree = qualified(tree.copy(), schema) if schema else tree.copy()
    for condition in filter(None, [tree.args.get("where")]):  # what is inside the relation is the user's own
        condition.transform(lambda node: _compared(node, declared), copy=False)
    return tree.transform(_spelled, copy=False).sql("tsql")


def literal(text: str) -> str:
    """A text as a literal of N'...'."""
    return exp.select(_pieces(text)).sql("tsql").removeprefix("SELECT ")


def named(table: exp.Table, schema: str | None) -> str:
    """A table's quoted name as a literal, for OBJECT_ID."""
    plain = exp.Table(this=table.this.copy(), db=table.args.get("db"), catalog=table.args.get("catalog"))
    return literal(rendered(plain, schema=schema))


def not_before(column: str, number: str) -> exp.Expr:
    """The condition that a rowversion is not below a number."""
    return exp.GTE(this=exp.column(column, quoted=True), expression=_eight_bytes(exp.Literal.number(number)))


def qualified(tree: exp.Expr, schema: str) -> exp.Expr:
    """The tree, each table that has no schema given this one; names of WITH are none."""
    inner = {cte.alias.casefold() for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if isinstance(table.this, exp.Identifier) and not table.db and table.name.casefold() not in inner:
            table.set("db", exp.to_identifier(schema, quoted=True))
    return tree


def _spelled(node: exp.Expr) -> exp.Expr:
    plain = not isinstance(node, exp.Literal) or not node.is_string or PLAIN.fullmatch(node.this)
    return node if plain else _pieces(node.this)


def _pieces(text: str) -> exp.Expr:
    """Pieces of text and NCHAR(0), joined by +."""
    parts = [part for part in CONTINUED.split(text) if part]
    nodes = [_zero() if part == "\x00" else exp.National(this=part) for part in parts] or [exp.National(this="")]
    first, *others = nodes
    for other in others:
        first = exp.Add(this=first, expression=other)
    return exp.paren(first) if others else first


def _zero() -> exp.Expr:
    return call("NCHAR", exp.Literal.number(0))


def _eight_bytes(number: exp.Expr) -> exp.Expr:
    return cast(cast(number, "BIGINT"), "BINARY(8)")


def _compared(node: exp.Expr, declared: dict[str, str]) -> exp.Expr:
    """A comparison of a column of one of the two types that a literal cannot be compared with as it is."""
    if isinstance(node, COMPARED) and isinstance(node.this, exp.Column) and node.this.name in declared:
        LIKE[declared[node.this.name]](node)
    return node


def _as_rowversion(node: exp.Expr) -> None:
    """An integer would be compared with the last four of the eight bytes: it is made eight bytes of as well."""
    number = node.expression
    if isinstance(number, exp.Literal) and not number.is_string:
        node.set("expression", _eight_bytes(number))
    elif isinstance(number, exp.Neg):
        node.set("this", cast(node.this, "BIGINT"))


def _as_datetime(node: exp.Expr) -> None:
    """A `datetime` of .003 s is .0033333 s beside a `datetime2`: what was read as .003 must be made a tick again."""
    moment = node.expression
    if isinstance(moment, exp.Cast) and moment.this.is_string and TICK.fullmatch(moment.this.name):
        node.set("expression", cast(cast(moment.this, "DATETIME2(3)"), "DATETIME"))


LIKE = {ROWVERSION: _as_rowversion, "datetime": _as_datetime}
