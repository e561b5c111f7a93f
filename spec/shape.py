"""The shape of an export as one DuckDB SELECT over the table `extract`: filters, fields, aggregation.

Types are exact all the way: a decimal never becomes a float, an integer never becomes a float because of a NULL.
Reading the extract and writing the result are not here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import cast

from sqlglot import exp

from spec.aggregates import compile_aggregate
from spec.casts import Asked, compile_cast, local, type_of
from spec.errors import DeclarationError
from spec.export import Export
from spec.expressions import compile_expression
from spec.fields import Field
from spec.filters import columns_of, compile_filters
from spec.kinds import FLOATS, WORDS, kind_of
from spec.patterns import strftime
from spec.personal import compile_pii
from spec.reading import Declared
from spec.source import TimeCursor
from spec.values import Clock, Scalar, literal

EXTRACT = "extract"


def needed_columns(export: Export) -> list[str] | None:
    """The source columns that shaping looks at; None means all of them."""
    if export.fields == "all" or export.transform:
        return None
    names = [name for field in export.listed if field.leaves for name in field.sources]
    return list(dict.fromkeys([*names, *columns_of(export.filters)]))


def made_of(declared: Declared) -> dict[str, str]:
    """The columns that the listed fields are made of, with the place of each."""
    fields = enumerate(declared.export.listed)
    return {name: declared.where("fields", number) for number, field in fields for name in field.sources}


def unique_of(declared: Declared) -> dict[str, str]:
    """The columns that rows are unique by, with the place of each."""
    return {name: declared.where("unique", number) for number, name in enumerate(declared.export.unique or ())}


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
    export, clock = declared.export, clock_of(declared.export, now)
    fields = list(_compiled(declared, columns, clock))
    chosen = (exp.alias_(value, field.name, quoted=True) for field, value in fields)
    select = exp.select(*chosen).from_(exp.to_identifier(EXTRACT, quoted=True))
    condition = compile_filters(export.filters, columns, clock, lambda path: declared.where(*path))
    if condition is not None:
        select = select.where(condition)
    if export.aggregated:
        select = select.group_by(*(value.copy() for field, value in fields if field.aggregate == "group"))
    return select


def clock_of(export: Export, now: datetime) -> Clock:
    """Columns without a zone are in the zone that is declared for the cursor; without one, in that of the windows."""
    zone, cursor = export.partitions.timezone, export.source.cursor
    return Clock(now, zone, (cursor.timezone if isinstance(cursor, TimeCursor) else None) or zone)


def _compiled(declared: Declared, columns: Mapping[str, str], zone: Clock) -> Iterator[tuple[Field, exp.Expr]]:
    """Each field with its expression. Raises DeclarationError with every field that does not fit its column."""
    export, problems = declared.export, list[str]()
    for number, field in enumerate(export.listed or [Field.model_validate({"from": name}) for name in columns]):
        try:
            if field.leaves:
                yield field, _field(field, columns, zone, compared=export.changes is not None)
        except ValueError as error:
            problems.append(f"{declared.where('fields', number)}: {error}")
    if problems:
        raise DeclarationError(*problems)


def _field(field: Field, columns: Mapping[str, str], clock: Clock, *, compared: bool) -> exp.Expr:
    """Replaced, filled, cast; then aggregated; then spelled. Rows whose group is spelled alike are one group."""
    if field.expression is not None:
        return compile_pii(compile_expression(field.expression), None, field.pii, field.name)
    value, type_ = _value(field, columns, clock)
    if field.aggregate:
        if compared and field.aggregate in {"sum", "average"} and type_ in FLOATS:
            message = (
                f"`aggregate: {field.aggregate}` of {field.from_!r}, which is floating point ({type_}), is not "
                "the same twice, and would look like a change; give the field a `cast: decimal(18,4)`"
            )
            raise ValueError(message)
        value = compile_aggregate(field.aggregate, value, type_, str(field.from_))
    if field.format:
        value, type_ = _formatted(value, type_, field, clock), "VARCHAR"
    return compile_pii(value, type_, field.pii, field.name)


def _value(field: Field, columns: Mapping[str, str], clock: Clock) -> tuple[exp.Expr, str]:
    name = str(field.from_)
    value, type_ = cast("exp.Expr", exp.column(name, quoted=True)), columns[name]
    if field.replace:
        _refuse_unspelled(type_, field)
        value, type_ = _replaced(exp.cast(value, "text"), field.replace), "VARCHAR"
    if field.default is not None:
        value = _filled(value, type_, field, clock)
    if field.cast:
        target = type_of(field.cast)
        value = compile_cast(value, field.cast, Asked(type_, target, clock.zone, name))
        type_ = target
    return value, type_


def _refuse_unspelled(type_: str, field: Field) -> None:
    """The engine's text of these is not the one that files have, and values that are not replaced would leave as it."""
    if (kind := kind_of(type_)) in {"list", "other", "local", "instant"}:
        message = (
            f"`replace:` compares text, and {field.name!r} is {WORDS[kind]} ({type_}); "
            "make text of it in `source.sql` or `transform:`"
        )
        raise ValueError(message)


def _filled(value: exp.Expr, type_: str, field: Field, clock: Clock) -> exp.Expr:
    if (kind := kind_of(type_)) in {"list", "other"}:
        message = f"{field.name!r} is {WORDS[kind]} ({type_}), which can have no `default:`"
        raise ValueError(message)
    try:
        default = literal(cast("Scalar", field.default), type_, clock)
    except ValueError as error:
        message = f"the default of {field.name!r}, which is {WORDS[kind]} ({type_}): {error}"
        raise ValueError(message) from None
    filled = exp.Nullif(this=value, expression=exp.Literal.string("")) if type_ == "VARCHAR" else value
    return exp.Coalesce(this=filled, expressions=[default])


def _formatted(value: exp.Expr, type_: str, field: Field, clock: Clock) -> exp.Expr:
    if kind_of(type_) not in {"date", "local", "instant"} or field.aggregate in {"count", "sum", "average"}:
        message = f"`format:` is for dates and times, and {field.name!r} is {WORDS[kind_of(type_)]} ({type_})"
        raise ValueError(message)
    moment = local(value, type_, clock.zone)
    return exp.Anonymous(this="strftime", expressions=[moment, exp.convert(strftime(str(field.format)))])


def _replaced(value: exp.Expr, pairs: Mapping[str, str]) -> exp.Expr:
    case = exp.Case(this=value)
    for old, new in pairs.items():
        case = case.when(exp.Literal.string(old), exp.Literal.string(new))
    return case.else_(value.copy())
