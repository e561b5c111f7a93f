"""PostgreSQL's types as Arrow types, how each travels over COPY, and how it is rebuilt from what arrives.

A type is a row of a table here; nothing in this file speaks to a server.
"""

from __future__ import annotations

import re

import pyarrow as pa
from sqlglot import exp

from resources.databases.base import Column
from resources.databases.values import Limits, parsed, refused, unscaled, within

# The driver adds 30 years to a value without looking: infinities and years after 294246 wrap around to before 4714 BC.
LIMITS = Limits(timestamp=(-210_866_803_200_000_000, 2**63 - 1), date=(-2_440_588, 2**31 - 1))

TEXT, MICROSECONDS, UTC = pa.string(), pa.timestamp("us"), pa.timestamp("us", tz="UTC")
PLAIN = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": TEXT,
    "varchar": TEXT,
    "date": pa.date32(),
    "timestamp": MICROSECONDS,
    "timestamptz": UTC,
}
TYPES = (
    PLAIN
    | {"bytea": pa.binary(), "time": pa.time64("us")}
    | {f"_{name}": pa.list_(kind) for name, kind in PLAIN.items()}
)
"""By the name in pg_type; whatever is not here, and not a numeric of declared precision, is text by ::text."""

JSON = frozenset({"json", "jsonb"})
NATIVE_TEXT = re.compile(r"text|bpchar|character( varying)?(\(\d+\))?")
NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
INT8_DIGITS, DECIMAL_DIGITS = 18, 38


def column(name: str, internal: str, declared: str, *, nullable: bool, as_text: bool) -> Column:
    """The column of a type's internal name ("timestamptz"; "" for a user's own type) and declared text."""
    if as_text:
        return Column(name, declared, TEXT, nullable)
    kind = _decimal(declared) or TYPES.get(internal, TEXT)
    return Column(name, declared, kind, nullable, internal in JSON)


def wire(source: Column) -> exp.Expr:
    """The expression by which a column travels: itself, scaled to an integer, or text."""
    value: exp.Expr = exp.column(source.name, quoted=True)
    if pa.types.is_decimal(source.type):
        value = _scaled(value, source.type) if source.type.precision <= INT8_DIGITS else exp.cast(value, "text")
    elif source.type == TEXT and not NATIVE_TEXT.fullmatch(source.declared):
        value = exp.cast(value, "text")
    return exp.alias_(value, source.name, quoted=True)


def guards(columns: tuple[Column, ...]) -> dict[str, Column]:
    """Columns whose dimensions must be read as well, by the name that their guard has in the result.

    `integer[]` says nothing of dimensions, and the driver flattens an array of two without a word.
    """
    lists = [each for each in columns if pa.types.is_list(each.type)]
    return {f"outgate_dimensions_{number}": each for number, each in enumerate(lists)}


def dimensions(guard: str, source: Column) -> exp.Expr:
    """The expression of a guard."""
    return exp.alias_(exp.func("array_ndims", exp.column(source.name, quoted=True)), guard, quoted=True)


def rebuilt(source: Column, values: pa.Array) -> pa.Array:
    """The array of the column's own type. Raises RowsRefused for a value that it cannot carry."""
    if pa.types.is_decimal(source.type):
        return unscaled(values, source.type) if source.type.precision <= INT8_DIGITS else parsed(source, values)
    return within(source, values, LIMITS)


def flat(source: Column, depths: pa.Array) -> None:
    """Refuse an array of more than one dimension."""
    deepest = max((depth for depth in depths.unique().to_pylist() if depth), default=1)
    if deepest > 1:
        raise refused(source, f"an array of {deepest} dimensions")


def scaled(columns: tuple[Column, ...]) -> list[Column]:
    """The columns that travel as integers, which is where the server itself stops at a NaN."""
    return [each for each in columns if pa.types.is_decimal(each.type) and each.type.precision <= INT8_DIGITS]


def _scaled(value: exp.Expr, kind: pa.Decimal128Type) -> exp.Expr:
    digits = exp.Mul(this=value, expression=exp.Literal.number(10**kind.scale)) if kind.scale else value
    return exp.cast(digits, "bigint")


def _decimal(declared: str) -> pa.DataType | None:
    match = NUMERIC.fullmatch(declared)
    if not match:
        return None
    precision, scale = int(match[1]), int(match[2])
    exact = scale >= 0 and max(precision, scale) <= DECIMAL_DIGITS
    return pa.decimal128(max(precision, scale), scale) if exact else None
