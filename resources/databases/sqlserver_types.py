"""SQL Server's types as Arrow types, how each is asked for, and how it is rebuilt from what arrives.

Everything travels as a whole number, a float or bytes, converted by the server itself: what the driver would make of a
decimal, a date or a text plays no part. A type is a row of a table here; nothing in this file speaks to a server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from resources.databases.base import Column
from resources.databases.values import parsed, refused
from spec.errors import RowsRefused

TEXT, MICROSECONDS, UTC = pa.string(), pa.timestamp("us"), pa.timestamp("us", tz="UTC")
ROWVERSION, VARIANT = "timestamp", "sql_variant"
DECLARED = re.compile(r"(\w+)(?:\((\w+)(?:,(\d+))?\))?")
LONGEST_TEXT = 4000
TICK = 10
"""The finest that SQL Server stores, 100 ns, of which a microsecond has ten."""


def cast(value: exp.Expr, kind: str) -> exp.Expr:
    """CAST(value AS kind), the kind in SQL Server's own words."""
    return exp.Cast(this=value, to=exp.DataType.build(kind, dialect="tsql"))


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A function that is rendered as it is written here."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def _plain(value: exp.Expr) -> exp.Expr:
    return value


def _bigint(value: exp.Expr) -> exp.Expr:
    return cast(value, "BIGINT")


def _days(value: exp.Expr) -> exp.Expr:
    return call("DATEDIFF", exp.var("DAY"), cast(exp.Literal.string("1970-01-01"), "DATE"), value)


def _ticks(start: exp.Expr, value: exp.Expr) -> exp.Expr:
    """Units of 100 ns: microseconds alone would hide what is finer, and nanoseconds do not fit for 300 years."""
    micros = call("DATEDIFF_BIG", exp.var("MICROSECOND"), start, value)
    finer = exp.Mod(this=call("DATEPART", exp.var("NANOSECOND"), value.copy()), expression=exp.Literal.number(1000))
    tenths = exp.Div(this=exp.paren(finer), expression=exp.Literal.number(100), typed=True)
    return exp.Add(this=exp.Mul(this=micros, expression=exp.Literal.number(TICK)), expression=exp.paren(tenths))


def _moment(value: exp.Expr) -> exp.Expr:
    return _ticks(cast(exp.Literal.string("1970-01-01"), "DATETIME2(7)"), value)


def _old_moment(value: exp.Expr) -> exp.Expr:
    """A `datetime` counts thirds of 10 ms; its milliseconds are what every tool shows of it."""
    return _moment(cast(value, "DATETIME2(3)"))


def _instant(value: exp.Expr) -> exp.Expr:
    return _moment(cast(call("SWITCHOFFSET", value, exp.Literal.string("+00:00")), "DATETIME2(7)"))


def _clock(value: exp.Expr) -> exp.Expr:
    return _ticks(cast(exp.Literal.string("00:00:00"), "TIME(7)"), value)


def _digits(value: exp.Expr) -> exp.Expr:
    return cast(cast(value, "VARCHAR(41)"), "VARBINARY(41)")


def _money(value: exp.Expr) -> exp.Expr:
    return _digits(cast(value, "DECIMAL(19, 4)"))


def _bytes(value: exp.Expr) -> exp.Expr:
    return cast(value, "VARBINARY(MAX)")


def _numbers(column: Column, values: list[Any]) -> pa.Array:
    return pa.array(values, pa.int64()).cast(column.type)


def _exactly(column: Column, values: list[Any]) -> pa.Array:
    return pa.array(values, column.type)


def _narrow(column: Column, values: list[Any]) -> pa.Array:
    return pa.array(values, pa.int64()).cast(pa.int32()).view(column.type)


def _decimals(column: Column, values: list[Any]) -> pa.Array:
    return parsed(column, pa.array(values, pa.binary()).cast(TEXT))


def _moments(column: Column, values: list[Any]) -> pa.Array:
    ticks = pa.array(values, pa.int64())
    micros = pc.divide(ticks, TICK)
    if pc.any(pc.not_equal(pc.multiply(micros, TICK), ticks)).as_py():
        raise refused(column, "a fraction of a microsecond")
    return micros.view(column.type)


def _texts(column: Column, values: list[Any]) -> pa.Array:
    try:
        return pa.array([None if value is None else value.decode("utf-16-le") for value in values], TEXT)
    except UnicodeDecodeError:
        raise RowsRefused(
            f"column {column.name!r} ({column.declared}) holds text that is not Unicode (half of a character): mend it"
            " in the source, or leave its rows out in `source.sql`"
        ) from None


@dataclass(frozen=True)
class Kind:
    """How a type travels: its Arrow type, what the server is asked for, and what is made of the answers."""

    arrow: pa.DataType
    ask: Callable[[exp.Expr], exp.Expr]
    make: Callable[[Column, list[Any]], pa.Array]


KINDS = {
    "bit": Kind(pa.bool_(), _bigint, _numbers),
    "tinyint": Kind(pa.int16(), _bigint, _numbers),
    "smallint": Kind(pa.int16(), _bigint, _numbers),
    "int": Kind(pa.int32(), _bigint, _numbers),
    "bigint": Kind(pa.int64(), _plain, _numbers),
    ROWVERSION: Kind(pa.int64(), _bigint, _numbers),
    "real": Kind(pa.float32(), _plain, _exactly),
    "float": Kind(pa.float64(), _plain, _exactly),
    "money": Kind(pa.decimal128(19, 4), _money, _decimals),
    "smallmoney": Kind(pa.decimal128(10, 4), _money, _decimals),
    "date": Kind(pa.date32(), _days, _narrow),
    "smalldatetime": Kind(MICROSECONDS, _old_moment, _moments),
    "datetime": Kind(MICROSECONDS, _old_moment, _moments),
    "datetime2": Kind(MICROSECONDS, _moment, _moments),
    "datetimeoffset": Kind(UTC, _instant, _moments),
    "time": Kind(pa.time64("us"), _clock, _moments),
    "binary": Kind(pa.binary(), _plain, _exactly),
    "varbinary": Kind(pa.binary(), _plain, _exactly),
    "image": Kind(pa.binary(), _bytes, _exactly),
}
"""By SQL Server's name of the type; decimals are made by their precision, and whatever is not here is text."""

STYLES = {
    "float": 3, "real": 3, "money": 2, "smallmoney": 2, "date": 121, "time": 121, "datetime": 121,
    "smalldatetime": 121, "datetime2": 121, "datetimeoffset": 121, "binary": 1, "varbinary": 1, "image": 1,
    ROWVERSION: 1,
}  # fmt: skip
"""The CONVERT style that loses nothing; without one, a float has 6 digits and money two decimals."""

CHARACTERS = frozenset({"char", "varchar", "nchar", "nvarchar"})
DECIMALS = frozenset({"decimal", "numeric"})
ODD = {"text": "VARCHAR(MAX)", "image": "VARBINARY(MAX)"}
"""Types that convert to text only by way of another."""


def column(name: str, declared: str, *, nullable: bool, as_text: bool) -> Column:
    """The column of a declared type such as "decimal(18,2)" or "datetime2(7)"."""
    base, precision, scale = _parts(declared)
    if as_text:
        return Column(name, declared, TEXT, nullable)
    if base in DECIMALS:
        return Column(name, declared, pa.decimal128(int(precision or 18), int(scale or 0)), nullable)
    return Column(name, declared, KINDS[base].arrow if base in KINDS else TEXT, nullable, base == "json")


def wire(source: Column) -> exp.Expr:
    """The expression by which a column travels. Raises RowsRefused for a type without a form of its own."""
    value: exp.Expr = exp.column(source.name, quoted=True)
    base = _parts(source.declared)[0]
    if base == VARIANT:
        raise RowsRefused(
            f"column {source.name!r} is a sql_variant, whose rows have different types: say which one in `source.sql`,"
            f" such as CAST({source.name} AS nvarchar(100)), or leave the column out of `fields:`"
        )
    return _text(source, value) if source.type == TEXT else _kind(source).ask(value)


def rebuilt(source: Column, values: list[Any]) -> pa.Array:
    """The array of the column's own type. Raises RowsRefused for a value that it cannot carry."""
    return _texts(source, values) if source.type == TEXT else _kind(source).make(source, values)


def is_rowversion(source: Column) -> bool:
    """Whether the database numbers each change of a row in this column."""
    return source.declared == ROWVERSION and source.type != TEXT


def _kind(source: Column) -> Kind:
    base = _parts(source.declared)[0]
    return Kind(source.type, _digits, _decimals) if base in DECIMALS else KINDS[base]


def _parts(declared: str) -> tuple[str, str | None, str | None]:
    match = DECLARED.fullmatch(declared)
    return (match[1], match[2], match[3]) if match else (declared, None, None)


def _text(source: Column, value: exp.Expr) -> exp.Expr:
    """UTF-16 as bytes: a driver that decodes it puts question marks where it cannot."""
    base, length, _ = _parts(source.declared)
    if base in CHARACTERS and length and length.isdecimal() and int(length) <= LONGEST_TEXT:
        return cast(cast(value, f"NVARCHAR({length})"), f"VARBINARY({2 * int(length)})")
    value = cast(value, ODD[base]) if base in ODD else value
    style = [exp.Literal.number(STYLES[base])] if base in STYLES else []
    return _bytes(call("CONVERT", exp.var("NVARCHAR(MAX)"), value, *style))
