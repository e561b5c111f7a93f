"""The aggregates as a table: for which kinds of columns each is, its expression, and what makes it exact.

Sums of whole numbers and decimals, and averages of them, are exact or they are an error; nothing wraps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from sqlglot import exp

from spec.kinds import FLOATS, INTEGERS, WORDS, Kind, digits, kind_of

AVERAGE_DIGITS = 4
_DIGITS, _BEHIND = 38, 18
Build = Callable[[exp.Expr, str], exp.Expr]


class Row(NamedTuple):
    """One row of the table: the kinds of columns, and the expression of a value and its DuckDB type."""

    kinds: Iterable[Kind]
    build: Build


def compile_aggregate(name: str, value: exp.Expr, type_: str, column: str) -> exp.Expr:
    """The aggregate of a value. Raises ValueError where it is not for the type, or would not be exact."""
    row, kind = AGGREGATES[name], kind_of(type_)
    if kind not in row.kinds:
        allowed = ", ".join(other for other, each in AGGREGATES.items() if kind in each.kinds)
        message = (
            f"`aggregate: {name}` is not for column {column!r}, which is {WORDS[kind]} ({type_}); "
            f"for that there are {allowed}{', or give the field a `cast:`' if kind == 'text' else ''}"
        )
        raise ValueError(message)
    return row.build(value, type_)


def _sum(value: exp.Expr, type_: str) -> exp.Expr:
    if type_ in FLOATS:
        return exp.Anonymous(this="fsum", expressions=[value])
    total = exp.Sum(this=value)
    return exp.cast(total, "bigint") if type_ in INTEGERS and INTEGERS[type_][1] < 2**63 else total


def _average(value: exp.Expr, type_: str) -> exp.Expr:
    """Exact, half away from zero, with four more digits behind the point than the column; of floats the float."""
    if type_ in FLOATS:
        return exp.Anonymous(this="favg", expressions=[value])
    precision, scale = digits(type_) or (len(str(INTEGERS[type_][1])), 0)
    behind = scale + AVERAGE_DIGITS
    if precision + scale + 1 > _DIGITS or behind > _BEHIND:
        message = f"the average of {type_} would not be exact; use sum and count"
        raise ValueError(message)
    sql = (
        f"CAST(SIGN(SUM(v)) * ((2 * ABS(SUM(CAST(v * {10**scale} AS HUGEINT))) * {10**AVERAGE_DIGITS} + COUNT(v))"
        f" // NULLIF(2 * COUNT(v), 0)) AS DECIMAL({_DIGITS - behind}, 0))"
        f" * CAST('{10**-behind:.{behind}f}' AS DECIMAL({behind}, {behind}))"
    )
    tree: exp.Expr = exp.maybe_parse(sql, dialect="duckdb")
    return tree.transform(lambda node: value.copy() if isinstance(node, exp.Column) else node)


_SOME: tuple[Kind, ...] = ("text", "number", "boolean", "date", "time", "local", "instant")
AGGREGATES: Mapping[str, Row] = {
    "group": Row((*_SOME, "list", "other"), lambda value, _: value),
    "count": Row((*_SOME, "list", "other"), lambda _value, _type: exp.Count(this=exp.Star())),
    "sum": Row(("number",), _sum),
    "average": Row(("number",), _average),
    "min": Row(_SOME, lambda value, _: exp.Min(this=value)),
    "max": Row(_SOME, lambda value, _: exp.Max(this=value)),
}
