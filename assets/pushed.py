"""Filters that the source is asked with already: those of which a test on a real server showed that they keep the rows
that DuckDB keeps. All filters are applied afterwards, whatever was pushed.

A mode that reads all rows pushes; windows do not: a row that a filter lets through later would look like one that came
late. What text is equal to, and what order it has, depends on a collation: no text is pushed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
from sqlglot import exp

from assets.plan import Plan
from assets.windows import Window
from resources.databases.base import Column
from spec.filters import OPERATORS, All, Condition
from spec.kinds import Kind
from spec.shape import clock_of
from spec.values import Clock, Read, resolved

DATABASES = frozenset({"postgres", "mysql", "duckdb"})
"""Dialects whose answers were compared with DuckDB's, row by row, on a live server."""
EXACT = frozenset({
    "equals", "less_than", "at_most", "more_than", "at_least", "before", "after", "on_or_before", "on_or_after",
    "between", "in", "not_empty",
})  # fmt: skip
"""Operators that are false for NULL wherever they are asked."""
TYPES: Mapping[Kind, str] = {"date": "date", "local": "timestamp", "instant": "timestamptz"}


def pushed(plan: Plan, window: Window) -> list[exp.Expr]:
    """Conditions that hold for every row that the filters keep; [] where one of their sets has none to push."""
    export = plan.export
    if not export.whole or export.transform or export.filters is None or plan.database.dialect not in DATABASES:
        return []
    clock, columns = clock_of(export, window.hi), {column.name: column for column in plan.relation.columns}
    sets = [_set(each, columns, clock) for each in export.filters.any]
    return [exp.or_(*(exp.and_(*conditions) for conditions in sets))] if all(sets) else []


def _set(found: All, columns: Mapping[str, Column], clock: Clock) -> list[exp.Expr]:
    made = (_condition(each, columns[each.field], clock) for each in found.all)
    return [each for each in made if each is not None]


def _condition(condition: Condition, column: Column, clock: Clock) -> exp.Expr | None:
    kind = _kind(column.type)
    if kind is None or condition.is_ not in EXACT or kind not in OPERATORS[condition.is_].kinds:
        return None
    values = [_literal(resolved(value, kind, clock), kind) for value in condition.values]
    return exp.paren(OPERATORS[condition.is_].kinds[kind](exp.column(column.name, quoted=True), values))


def _kind(type_: pa.DataType) -> Kind | None:
    """Only what every database keeps exactly and compares alike."""
    if pa.types.is_integer(type_) or pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_date(type_):
        return "date"
    if pa.types.is_timestamp(type_) and type_.unit != "ns":
        return "instant" if type_.tz else "local"
    return None


def _literal(value: Read, kind: Kind) -> exp.Expr:
    if isinstance(value, Decimal):
        return exp.Literal.number(f"{value:f}")
    assert isinstance(value, date)  # noqa: S101  (a datetime is one)
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    return exp.cast(exp.Literal.string(text), TYPES[kind])
