"""Trees as Oracle's SQL, where the dialect's own rendering would depend on the session or need a newer server.

What is asked for is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlglot import exp

from resources.databases.base import Column
from resources.databases.oracle_types import call

KINDS = exp.DataType.Type
ZONED = frozenset({KINDS.TIMESTAMPTZ, KINDS.TIMESTAMPLTZ})
MOMENTS = ZONED | {KINDS.TIMESTAMP, KINDS.TIMESTAMPNTZ, KINDS.DATE, KINDS.DATETIME}
COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
SECONDS = "YYYY-MM-DD HH24:MI:SS"


def rendered(tree: exp.Expr, columns: Iterable[Column] = ()) -> str:
    """The statement's text. `columns` are those that its conditions may compare."""
    dates = {column.name for column in columns if column.declared == "DATE"}
    tree = tree.copy()
    for condition in filter(None, [tree.args.get("where")]):  # what is inside the relation is the user's own
        condition.transform(lambda node: _compared(node, dates), copy=False)
    return tree.transform(_spelled, copy=False).sql("oracle")


def _spelled(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Boolean):
        return exp.paren(exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(int(node.this))))
    moment = _moment(node)
    if moment is None:
        return node
    if node.is_type(KINDS.DATE):
        return _to_date(moment)
    return _to_zoned(moment) if node.is_type(*ZONED) and moment.tzinfo else _to_timestamp(moment)


def _compared(node: exp.Expr, dates: set[str]) -> exp.Expr:
    """A DATE compared with a TIMESTAMP is converted row by row, and no index on it is used: compare dates."""
    if not isinstance(node, COMPARED) or not isinstance(node.this, exp.Column) or node.this.name not in dates:
        return node
    moment = _moment(node.expression)
    if moment is not None and moment.tzinfo is None and not moment.microsecond:
        node.set("expression", _to_date(moment))
    return node


def _moment(node: exp.Expr) -> datetime | None:
    """The moment that a CAST of a text to a date or timestamp is, where the text says one."""
    if not isinstance(node, exp.Cast) or not node.is_type(*MOMENTS) or not isinstance(node.this, exp.Literal):
        return None
    try:
        return datetime.fromisoformat(node.this.name) if node.this.is_string else None
    except ValueError:
        return None


def _to_date(moment: datetime) -> exp.Expr:
    return call("TO_DATE", _text(_said(moment, "seconds")), _text(SECONDS))


def _to_timestamp(moment: datetime) -> exp.Expr:
    return call("TO_TIMESTAMP", _text(_said(moment, "microseconds")), _text(f"{SECONDS}.FF6"))


def _to_zoned(moment: datetime) -> exp.Expr:
    text = _said(moment.astimezone(UTC), "microseconds")
    return call("TO_TIMESTAMP_TZ", _text(f"{text} +00:00"), _text(f"{SECONDS}.FF6 TZH:TZM"))


def _said(moment: datetime, precision: str) -> str:
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec=precision)


def _text(text: str) -> exp.Expr:
    return exp.Literal.string(text)
