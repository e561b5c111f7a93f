"""Comparing dates and times in SQLite, which has none: a text is compared by the moment that it spells, not as text.

`2026-01-01T03:00` is greater than `2026-01-01 05:00` as text, and `CAST(... AS TIMESTAMP)` is the number 2026. So each
comparison with a date or time becomes one of microseconds, beside one of days that an index can serve.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from sqlglot import exp

from resources.databases import sqlite_types as types
from resources.databases.sqlite_sql import sql
from spec.errors import ConnectorError

EPOCH, MICROSECOND, DAY = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1), timedelta(days=1)
KINDS = {
    exp.DType.DATE: pa.date32(),
    exp.DType.TIMESTAMP: types.MICROSECONDS,
    exp.DType.DATETIME: types.MICROSECONDS,
    exp.DType.TIMESTAMPTZ: types.UTC,
}
FUNCTIONS = {pa.date32(): "outgate_date", types.MICROSECONDS: "outgate_moment", types.UTC: "outgate_instant"}
"""The functions that a snapshot's connection has, by what they read."""

PATTERNS = {kind: re.compile(types.SHAPES[kind], re.ASCII) for kind in FUNCTIONS}
FLIPPED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.EQ, exp.NEQ: exp.NEQ, exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE,
}  # fmt: skip
DAYS_BEFORE = frozenset({exp.EQ, exp.GT, exp.GTE})
DAYS_AFTER = frozenset({exp.EQ, exp.LT, exp.LTE})
ISO_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"


def microseconds(text: Any, kind: pa.DataType) -> int | None:
    """Microseconds since 1970 of a stored text. Raises ValueError for what is no text, or not spelled in that way."""
    if text is None:
        return None
    if not isinstance(text, str) or not PATTERNS[kind].match(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


def comparable(tree: exp.Expr, *, by_day: bool = False) -> exp.Expr:
    """The same tree with its dates and times comparable. Every other literal of such a type becomes plain text.

    `by_day` adds the comparisons of days, which pass over a text that spells no day: only where somebody looks for
    those, as `misspelled` does. Raises ConnectorError for a literal that is no date or time.
    """
    return tree.transform(lambda node: _compared(node, by_day=by_day) or _between(node) or node).transform(_plain)


def moment_of(value: exp.Expr, kind: pa.DataType) -> exp.Expr:
    """The expression of a value's microseconds; its name goes along, for an error to show."""
    name = value.name if isinstance(value, exp.Column) else sql(value)
    return exp.Anonymous(this=FUNCTIONS[kind], expressions=[value.copy(), exp.Literal.string(name)])


def sortable(name: str, kind: pa.DataType | None) -> exp.Expr:
    """What rows are ordered by, for a column of that type."""
    column = exp.column(name, quoted=True)
    return moment_of(column, kind) if kind in FUNCTIONS else column


def compared_columns(tree: exp.Expr) -> list[str]:
    """The columns that a condition compares with a date or time."""
    sides = ((each.this, each.expression) for each in tree.find_all(*FLIPPED))
    dated = (pair for pair in sides if any(_literal(side) for side in pair))
    return [side.name for pair in dated for side in pair if isinstance(side, exp.Column)]


def misspelled(name: str) -> exp.Expr:
    """The condition of a value that spells no day: the day's comparison would pass it over without a word."""
    column = exp.column(name, quoted=True)
    spelled = exp.Glob(this=column, expression=exp.Literal.string(ISO_DAY))
    text = exp.EQ(this=exp.func("typeof", column.copy()), expression=exp.Literal.string("text"))
    present = exp.Is(this=column.copy(), expression=exp.null()).not_()
    return exp.and_(present, exp.and_(text, spelled).not_())


def _literal(node: Any) -> tuple[str, pa.DataType] | None:
    """The text and type of `CAST('...' AS TIMESTAMP)`."""
    if not isinstance(node, exp.Cast) or not isinstance(node.this, exp.Literal) or not node.this.is_string:
        return None
    kind = KINDS.get(node.to.this)
    return None if kind is None else (node.this.name, kind)


def _compared(node: exp.Expr, *, by_day: bool) -> exp.Expr | None:
    if type(node) not in FLIPPED:
        return None
    for operator, value, literal in (
        (type(node), node.this, _literal(node.expression)),
        (FLIPPED[type(node)], node.expression, _literal(node.this)),
    ):
        if literal:
            exact = _exact(operator, value, *literal)
            return exp.paren(exp.and_(*_days(operator, value, *literal), exact)) if by_day else exact
    return None


def _between(node: exp.Expr) -> exp.Expr | None:
    if not isinstance(node, exp.Between):
        return None
    low, high = _literal(node.args["low"]), _literal(node.args["high"])
    if not low or not high:
        return None
    return exp.paren(exp.and_(_exact(exp.GTE, node.this, *low), _exact(exp.LTE, node.this, *high)))


def _exact(operator: type[exp.Expr], value: exp.Expr, text: str, kind: pa.DataType) -> exp.Expr:
    try:
        moment = microseconds(text, kind)
    except ValueError:
        raise ConnectorError(f"{text!r} is no {kind} that SQLite's rows can be compared with: use ISO 8601") from None
    return operator(this=moment_of(value, kind), expression=exp.convert(moment))


def _days(operator: type[exp.Expr], value: exp.Expr, text: str, kind: pa.DataType) -> list[exp.Expr]:
    """Every spelling of a moment begins with its day, or at an offset with a neighbour of it."""
    day, slack = date.fromisoformat(text[:10]), DAY * (kind == types.UTC)
    try:
        before, after = day - 2 * slack, day + 2 * slack + DAY
    except OverflowError:
        return []
    found: list[exp.Expr] = []
    if operator in DAYS_BEFORE:
        found.append(exp.GTE(this=value.copy(), expression=exp.Literal.string(before.isoformat())))
    if operator in DAYS_AFTER:
        found.append(exp.LT(this=value.copy(), expression=exp.Literal.string(after.isoformat())))
    return found


def _plain(node: exp.Expr) -> exp.Expr:
    literal = _literal(node)
    return exp.Literal.string(literal[0]) if literal else node
