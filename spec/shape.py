"""The shape of an export as one DuckDB SELECT over the table `extract`: filters, fields, aggregation.

Types are exact all the way: a decimal never becomes a float, an integer never becomes a float because of a NULL.
Reading the extract and writing the result are not here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlglot import exp

from spec.errors import DeclarationError
from spec.export import Export
from spec.fields import Field
from spec.filters import columns_of, compile_filters
from spec.reading import Declared
from spec.source import TimeCursor
from spec.values import Clock

EXTRACT = "extract"
INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
AVERAGE_DIGITS = 4


def needed_columns(export: Export) -> list[str] | None:
    """The source columns that shaping looks at; None means all of them."""
    if export.fields == "all" or export.transform:
        return None
    return list(dict.fromkeys([*(field.from_ for field in export.listed), *columns_of(export.filters)]))


def missing(wanted: Mapping[str, str], columns: Mapping[str, object], what: str) -> None:
    """Raise DeclarationError for each wanted column (name to `file:line`) that is not among `columns`."""
    problems = []
    for name, where in wanted.items():
        if name not in columns:
            near = difflib.get_close_matches(name, list(columns), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(f"{where}: {what} has no column {name!r}{hint} (it has: {', '.join(columns)})")
    if problems:
        raise DeclarationError(*dict.fromkeys(problems))


def compile_shape(declared: Declared, columns: Mapping[str, str], now: datetime) -> exp.Select:
    """The SELECT whose rows leave, from `columns` (name to DuckDB type) and the window's end `now`.

    Raises DeclarationError with the place of everything that does not fit the type of its column.
    """
    export = declared.export
    fields = export.listed or [Field.model_validate({"from": name}) for name in columns]
    select = exp.select(*(_aliased(field, columns) for field in fields)).from_(exp.to_identifier(EXTRACT, quoted=True))
    condition = compile_filters(export.filters, columns, _clock(export, now), lambda path: declared.where(*path))
    if condition is not None:
        select = select.where(condition)
    if export.aggregated:
        select = select.group_by(*(_value(field, columns) for field in fields if field.aggregate == "group"))
    return select


def _clock(export: Export, now: datetime) -> Clock:
    """Columns without a zone are in the zone that is declared for the cursor; without one, in that of the windows."""
    zone, cursor = export.partitions.timezone, export.source.cursor
    return Clock(now, zone, (cursor.timezone if isinstance(cursor, TimeCursor) else None) or zone)


def _aliased(field: Field, columns: Mapping[str, str]) -> exp.Expr:
    value = (
        AGGREGATES[field.aggregate](_value(field, columns), field, columns)
        if field.aggregate
        else _value(field, columns)
    )
    return exp.alias_(value, field.name, quoted=True)


def _value(field: Field, columns: Mapping[str, str]) -> exp.Expr:
    value: exp.Expr = exp.column(field.from_, quoted=True)
    kind, text = columns[field.from_], field.replace or columns[field.from_] == "VARCHAR"
    if field.replace:
        value = _replaced(exp.cast(value, "text"), field.replace)
    if field.default is not None:
        default = exp.Literal.string(str(field.default))
        filled = exp.Nullif(this=value, expression=exp.Literal.string("")) if text else value
        value = exp.Coalesce(this=filled, expressions=[default if text else exp.cast(default, kind, dialect="duckdb")])
    return value


def _replaced(value: exp.Expr, pairs: Mapping[str, str]) -> exp.Expr:
    case = exp.Case(this=value)
    for old, new in pairs.items():
        case = case.when(exp.Literal.string(old), exp.Literal.string(new))
    return case.else_(value.copy())


Build = Callable[[exp.Expr, Field, Mapping[str, str]], exp.Expr]


def _sum(value: exp.Expr, field: Field, columns: Mapping[str, str]) -> exp.Expr:
    total = exp.Sum(this=value)
    return exp.cast(total, "bigint") if columns[field.from_] in INTEGERS else total


def _average(value: exp.Expr, field: Field, columns: Mapping[str, str]) -> exp.Expr:
    """Of decimals: exact, half away from zero, with four more digits than the column; of anything else AVG."""
    decimal = re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", columns[field.from_])
    if not decimal:
        return exp.Avg(this=value)
    precision, scale = int(decimal[1]), int(decimal[2])
    digits = scale + AVERAGE_DIGITS
    if precision + scale + 1 > 38 or digits > 18:  # noqa: PLR2004  (38 digits are what a decimal holds)
        raise DeclarationError(
            f"the average of {field.from_!r}, {columns[field.from_]}, would not be exact; use sum and count"
        )
    sql = (
        f"CAST(SIGN(SUM(v)) * ((2 * ABS(SUM(CAST(v * {10**scale} AS HUGEINT))) * {10**AVERAGE_DIGITS} + COUNT(v))"
        f" // (2 * COUNT(v))) AS DECIMAL({38 - digits}, 0))"
        f" * CAST('{10**-digits:.{digits}f}' AS DECIMAL({digits}, {digits}))"
    )
    tree: exp.Expr = exp.maybe_parse(sql, dialect="duckdb")
    return tree.transform(lambda node: value.copy() if isinstance(node, exp.Column) else node)


AGGREGATES: Mapping[str, Build] = {
    "group": lambda value, _field, _columns: value,
    "count": lambda _value, _field, _columns: exp.Count(this=exp.Star()),
    "sum": _sum,
    "average": _average,
    "min": lambda value, _field, _columns: exp.Min(this=value),
    "max": lambda value, _field, _columns: exp.Max(this=value),
}
