"""SQLite's declared types as Arrow types, and what is really stored as arrays of them: exactly, or not at all.

A type is a row of a table here; nothing in this file opens a file, and no value is ever bent to its column's type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from resources.databases.base import Column
from resources.databases.values import parsed, refused

TEXT, MICROSECONDS, UTC = pa.string(), pa.timestamp("us"), pa.timestamp("us", tz="UTC")
DATE = r"\d{4}-\d{2}-\d{2}"
CLOCK = r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
SHAPES = {
    pa.date32(): f"^{DATE}$",
    pa.time64("us"): f"^{CLOCK}$",
    MICROSECONDS: f"^{DATE}([ T]{CLOCK})?$",
    UTC: f"^{DATE}[ T]{CLOCK}(Z|[+-]\\d{{2}}(:?\\d{{2}})?)$",
}
"""How a date or time may be spelled, by what it becomes. ISO 8601, and at most microseconds."""

NAMES = {
    r"bool(ean)?": pa.bool_(),
    r"date": pa.date32(),
    r"time(\(\d+\))?( without time zone)?": pa.time64("us"),
    r"(datetime|timestamp)\d?(\(\d+\))?( without time zone)?": MICROSECONDS,
    r"(timestamptz|datetimetz|timestamp(\(\d+\))? with time zone)(\(\d+\))?": UTC,
    r"jsonb?": TEXT,
}
"""Declared types by their whole name. What is in none of the two tables is text of whatever is stored."""

AFFINITIES = (("int", pa.int64()), ("char|clob|text", TEXT), ("blob", pa.binary()), ("real|floa|doub", pa.float64()))
"""SQLite's own rule for every other name: the first part that it contains decides."""

DECIMAL = re.compile(r"(?:decimal|numeric|number|dec)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
DECIMAL_DIGITS, REAL_DIGITS = 38, 15
JSON = re.compile(r"jsonb?")
SHOWN = 40


@dataclass(frozen=True)
class Spelled(Column):
    """A column whose values are delivered as text, whatever is stored: one of `as_text`, or of no known type."""


def column(name: str, declared: str, *, nullable: bool, as_text: bool) -> Column:
    """The column of a declared type ("" for an expression that has none)."""
    plain = " ".join(declared.lower().split())
    kind = None if as_text else _decimal(plain) or _named(plain) or _affine(plain)
    if kind is None:
        return Spelled(name, declared or "no type", TEXT, nullable)
    return Column(name, declared, kind, nullable, json=bool(JSON.fullmatch(plain)))


def array(source: Column, values: Sequence[Any]) -> pa.Array:
    """What is stored (None, int, float, str, bytes) as the column's type. Raises RowsRefused for all it cannot be."""
    if isinstance(source, Spelled):
        return pa.array([_spelled(value) for value in values], TEXT)
    kind = "json" if source.json else "decimal" if pa.types.is_decimal(source.type) else source.type
    stored, build = _BUILT[kind]
    if not set(map(type, values)) <= stored:
        odd = next(value for value in values if type(value) not in stored)
        raise refused(source, f"{_KINDS[type(odd)]} ({_shown(odd)})")
    return build(source, values)


def _named(plain: str) -> pa.DataType | None:
    return next((kind for pattern, kind in NAMES.items() if re.fullmatch(pattern, plain)), None)


def _affine(plain: str) -> pa.DataType | None:
    return next((kind for parts, kind in AFFINITIES if re.search(parts, plain)), None)


def _decimal(plain: str) -> pa.DataType | None:
    match = DECIMAL.fullmatch(plain)
    if not match:
        return None
    precision, scale = int(match[1]), int(match[2] or 0)
    return pa.decimal128(precision, scale) if 0 < precision <= DECIMAL_DIGITS and scale <= precision else None


def _spelled(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return f"X'{value.hex().upper()}'" if isinstance(value, bytes) else repr(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _plain(source: Column, values: Sequence[Any]) -> pa.Array:
    return pa.array(values, source.type)


def _flags(source: Column, values: Sequence[Any]) -> pa.Array:
    if odd := set(values) - {0, 1, None}:
        raise refused(source, f"the number {min(odd)!r}")
    return pa.array([None if value is None else value == 1 for value in values], pa.bool_())


def _decimals(source: Column, values: Sequence[Any]) -> pa.Array:
    return parsed(source, pa.array([_digits(source, value) for value in values], TEXT))


def _digits(source: Column, value: Any) -> str | None:
    """A decimal's digits. A real gives back the up to 15 digits that were written, and no decimal beyond them."""
    if not isinstance(value, float):
        return None if value is None else str(value)
    text = f"{value:.{REAL_DIGITS}g}"
    if float(text) != value:
        raise refused(source, f"a real number that is no decimal of up to {REAL_DIGITS} digits ({value!r})")
    return text


def _json(source: Column, values: Sequence[Any]) -> pa.Array:
    return pa.array([_spelled(value) for value in values], source.type)


def _moments(source: Column, values: Sequence[Any]) -> pa.Array:
    texts = pa.array(values, TEXT)
    good = pc.match_substring_regex(texts, SHAPES[source.type])
    try:
        if not pc.all(good).as_py() and texts.null_count < len(texts):
            raise refused(source, _shown(texts.filter(pc.invert(good))[0].as_py()))
        return _clock(texts) if pa.types.is_time64(source.type) else texts.cast(source.type)
    except pa.ArrowInvalid:
        raise refused(
            source, f"a date or time that does not exist, one of {_shown(texts.unique().to_pylist())}"
        ) from None


def _clock(texts: pa.Array) -> pa.Array:
    """Arrow reads no times of day, but those of a day that it knows."""
    day = pc.binary_join_element_wise("1970-01-01", texts, " ")
    return day.cast(MICROSECONDS).cast(pa.int64()).cast(pa.time64("us"))


_KINDS = {int: "a whole number", float: "a real number", str: "text", bytes: "a blob"}
_NONE = type(None)
_BUILT: dict[Any, tuple[frozenset[type], Callable[[Column, Sequence[Any]], pa.Array]]] = {
    "json": (frozenset({_NONE, str, int, float}), _json),
    "decimal": (frozenset({_NONE, int, float, str}), _decimals),
    pa.bool_(): (frozenset({_NONE, int}), _flags),
    pa.int64(): (frozenset({_NONE, int}), _plain),
    pa.float64(): (frozenset({_NONE, float}), _plain),
    TEXT: (frozenset({_NONE, str}), _plain),
    pa.binary(): (frozenset({_NONE, bytes}), _plain),
    **dict.fromkeys(SHAPES, (frozenset({_NONE, str}), _moments)),
}
"""What may be stored in a column of a type, and how it is made."""
