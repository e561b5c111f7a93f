"""Oracle's types as Arrow types, how each is asked for, and how it is rebuilt from what arrives.

Numbers travel as the driver's own exact text of them, and whatever has a date as text that the server formats: neither
a float nor Python's datetime, which has no nanoseconds, comes near them. A type is a row of a table here; nothing in
this file speaks to a server.
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
NUMBER = re.compile(r"NUMBER\((\d+),(-?\d+)\)")
INT64_DIGITS, DECIMAL_DIGITS = 18, 38
NO_SCALE = -127
"""How Oracle says that a NUMBER has no declared scale: it holds any number of up to 40 digits."""

SECONDS = "YYYY-MM-DD HH24:MI:SS"
WHOLE, FINE, STORED = f"S{SECONDS}", f"S{SECONDS}.FF9", f"S{SECONDS}.FF"
MOMENT, TAIL = 27, 3
"""The length of " 2026-03-29 01:59:59.999999", and of the nanoseconds behind it."""


@dataclass(frozen=True)
class Described:
    """One result column as the driver describes it. `kind` is the name of its type there, such as DB_TYPE_NUMBER."""

    name: str
    kind: str
    size: int | None
    precision: int | None
    scale: int | None
    nullable: bool
    json: bool = False


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A function that is rendered as it is written here."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def _to_char(pattern: str) -> Callable[[exp.Expr], exp.Expr]:
    return lambda value: call("TO_CHAR", value, exp.Literal.string(pattern))


def _shown(pattern: str) -> Callable[[exp.Expr], exp.Expr]:
    """Without the blank that stands where a year before our era has its minus."""
    return lambda value: call("LTRIM", _to_char(pattern)(value))


def _instant(value: exp.Expr) -> exp.Expr:
    return _to_char(FINE)(call("SYS_EXTRACT_UTC", value))


def _bare(name: str) -> Callable[[exp.Expr], exp.Expr]:
    return lambda value: call(name, value)


def _plain(value: exp.Expr) -> exp.Expr:
    return value


def _json(value: exp.Expr) -> exp.Expr:
    """The driver would hand out its own objects, and a number in them as a float."""
    return call("JSON_SERIALIZE", exp.var(f"{value.sql('oracle')} RETURNING CLOB ERROR ON ERROR"))


def _exactly(column: Column, values: list[Any]) -> pa.Array:
    return pa.array(values, column.type)


def _numbers(column: Column, values: list[Any]) -> pa.Array:
    return parsed(column, pa.array(values, TEXT))


def _moments(column: Column, values: list[Any]) -> pa.Array:
    """From text such as " 2026-03-29 01:59:59.999999000"; a minus in front is a year before our era."""
    texts = pa.array(values, TEXT)
    if pc.any(pc.starts_with(texts, "-")).as_py():
        raise refused(column, "a date before the year 1")
    finer = pc.utf8_slice_codeunits(texts, MOMENT, MOMENT + TAIL)
    if pc.any(pc.match_substring_regex(finer, "[1-9]")).as_py():
        raise refused(column, "a fraction of a microsecond")
    return pc.utf8_slice_codeunits(texts, 1, MOMENT).cast(MICROSECONDS).view(column.type)


@dataclass(frozen=True)
class Kind:
    """How a type travels: its Arrow type, what the server is asked for, what is made of it, and its text."""

    arrow: pa.DataType
    ask: Callable[[exp.Expr], exp.Expr] = _plain
    make: Callable[[Column, list[Any]], pa.Array] = _exactly
    text: Callable[[exp.Expr], exp.Expr] = _plain


KINDS = {
    "NUMBER": Kind(TEXT),
    "FLOAT": Kind(TEXT),
    "BINARY_FLOAT": Kind(pa.float32(), text=_bare("TO_CHAR")),
    "BINARY_DOUBLE": Kind(pa.float64(), text=_bare("TO_CHAR")),
    "BOOLEAN": Kind(pa.bool_(), text=_bare("TO_CHAR")),
    "VARCHAR2": Kind(TEXT),
    "NVARCHAR2": Kind(TEXT),
    "CHAR": Kind(TEXT),
    "NCHAR": Kind(TEXT),
    "CLOB": Kind(TEXT),
    "NCLOB": Kind(TEXT),
    "LONG": Kind(TEXT),
    "ROWID": Kind(TEXT),
    "UROWID": Kind(TEXT),
    "XMLTYPE": Kind(TEXT),
    "JSON": Kind(TEXT, _json, text=_json),
    "INTERVAL YEAR TO MONTH": Kind(TEXT, _bare("TO_CHAR"), text=_bare("TO_CHAR")),
    "INTERVAL DAY TO SECOND": Kind(TEXT, _bare("TO_CHAR"), text=_bare("TO_CHAR")),
    "DATE": Kind(MICROSECONDS, _to_char(WHOLE), _moments, _shown(WHOLE)),
    "TIMESTAMP": Kind(MICROSECONDS, _to_char(FINE), _moments, _shown(STORED)),
    "TIMESTAMP WITH LOCAL TIME ZONE": Kind(UTC, _to_char(FINE), _moments, _shown(STORED)),
    "TIMESTAMP WITH TIME ZONE": Kind(UTC, _instant, _moments, _shown(f"{STORED} TZH:TZM")),
    "RAW": Kind(pa.binary(), text=_bare("RAWTOHEX")),
    "LONG RAW": Kind(pa.binary()),
    "BLOB": Kind(pa.binary()),
}
"""By Oracle's name of the type; numbers of a declared precision are made by it, and whatever is not here is refused."""

NAMES = {
    "DB_TYPE_NUMBER": "NUMBER", "DB_TYPE_BINARY_FLOAT": "BINARY_FLOAT", "DB_TYPE_BINARY_DOUBLE": "BINARY_DOUBLE",
    "DB_TYPE_BOOLEAN": "BOOLEAN", "DB_TYPE_VARCHAR": "VARCHAR2", "DB_TYPE_NVARCHAR": "NVARCHAR2",
    "DB_TYPE_CHAR": "CHAR", "DB_TYPE_NCHAR": "NCHAR", "DB_TYPE_CLOB": "CLOB", "DB_TYPE_NCLOB": "NCLOB",
    "DB_TYPE_LONG": "LONG", "DB_TYPE_LONG_NVARCHAR": "LONG", "DB_TYPE_ROWID": "ROWID", "DB_TYPE_UROWID": "UROWID",
    "DB_TYPE_XMLTYPE": "XMLTYPE", "DB_TYPE_JSON": "JSON", "DB_TYPE_INTERVAL_YM": "INTERVAL YEAR TO MONTH",
    "DB_TYPE_INTERVAL_DS": "INTERVAL DAY TO SECOND", "DB_TYPE_DATE": "DATE", "DB_TYPE_TIMESTAMP": "TIMESTAMP",
    "DB_TYPE_TIMESTAMP_LTZ": "TIMESTAMP WITH LOCAL TIME ZONE", "DB_TYPE_TIMESTAMP_TZ": "TIMESTAMP WITH TIME ZONE",
    "DB_TYPE_RAW": "RAW", "DB_TYPE_LONG_RAW": "LONG RAW", "DB_TYPE_BLOB": "BLOB",
}  # fmt: skip
"""Oracle's names of the driver's types; any other keeps the driver's."""

SIZED = frozenset({"VARCHAR2", "NVARCHAR2", "CHAR", "NCHAR", "RAW"})
LARGE = frozenset({"CLOB", "NCLOB", "BLOB", "LONG", "LONG RAW", "JSON", "XMLTYPE"})
TEXTLESS = frozenset({"BLOB", "LONG RAW"})


def column(found: Described, *, nullable: bool, as_text: bool) -> Column:
    """The column of a described result column."""
    declared = _declared(found)
    if as_text:
        return Column(found.name, declared, TEXT, nullable)
    number = _number(declared)
    if number is not None:
        return Column(found.name, declared, number, nullable)
    kind = KINDS.get(_base(declared))
    return Column(found.name, declared, kind.arrow if kind else TEXT, nullable, found.json)


def wire(source: Column) -> exp.Expr:
    """The expression by which a column travels. Raises RowsRefused for a type that has no form of its own."""
    base = _base(source.declared)
    kind = KINDS.get(base)
    is_text = source.type == TEXT
    if kind is None or (is_text and base in TEXTLESS):
        raise RowsRefused(
            f"column {source.name!r} ({source.declared}) has no text of its own: make one in `source.sql`, or leave the"
            " column out of `fields:`"
        )
    ask = kind.text if is_text and kind.ask is not _json else kind.ask
    return ask(exp.column(source.name, quoted=True))


def rebuilt(source: Column, values: list[Any]) -> pa.Array:
    """The array of the column's own type. Raises RowsRefused for a value that it cannot carry."""
    if source.type == TEXT:
        return pa.array(values, TEXT)
    make = _numbers if _number(source.declared) is not None else KINDS[_base(source.declared)].make
    return make(source, values)


def is_large(source: Column) -> bool:
    """Whether one value may be as long as a file."""
    return _base(source.declared) in LARGE


def _declared(found: Described) -> str:
    name = NAMES.get(found.kind, found.kind.removeprefix("DB_TYPE_"))
    if name in SIZED:
        return f"{name}({found.size})"
    if name in {"TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH LOCAL TIME ZONE"}:
        return name.replace("TIMESTAMP", f"TIMESTAMP({found.scale or 0})", 1)
    return _declared_number(found) if name == "NUMBER" else name


def _declared_number(found: Described) -> str:
    """Without a scale a NUMBER is of any; without a precision it has all digits."""
    if found.scale is None or found.scale == NO_SCALE:
        return f"FLOAT({found.precision})" if found.precision else "NUMBER"
    return f"NUMBER({found.precision or DECIMAL_DIGITS},{found.scale})"


def _number(declared: str) -> pa.DataType | None:
    """The exact type of a NUMBER(p,s), None where there is none, or where it is no such number."""
    match = NUMBER.fullmatch(declared)
    if not match:
        return None
    precision, scale = int(match[1]), int(match[2])
    digits, places = max(precision - min(scale, 0), scale), max(scale, 0)
    if digits > DECIMAL_DIGITS:
        return None
    return pa.int64() if places == 0 and digits <= INT64_DIGITS else pa.decimal128(digits, places)


def _base(declared: str) -> str:
    return re.sub(r"\([^)]*\)", "", declared)
