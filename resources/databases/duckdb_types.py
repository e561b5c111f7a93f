"""DuckDB's types as Arrow types, how each is selected, and how it is rebuilt from what arrives.

A type is a row of a table here; nothing in this file opens a file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from resources.databases.base import Column
from resources.databases.values import Limits, refused, within

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

LIMITS = Limits(timestamp=(2 - 2**63, 2**63 - 2), date=(2 - 2**31, 2**31 - 2))

TEXT, MICROSECONDS = pa.string(), pa.timestamp("us")
SIMPLE = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "utinyint": pa.uint8(),
    "usmallint": pa.uint16(),
    "uinteger": pa.uint32(),
    "float": pa.float32(),
    "double": pa.float64(),
    "varchar": TEXT,
    "date": pa.date32(),
    "timestamp": MICROSECONDS,
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}
TYPES = SIMPLE | {
    "blob": pa.binary(),
    "time": pa.time64("us"),
    "timestamp_s": MICROSECONDS,
    "timestamp_ms": MICROSECONDS,
    "timestamp_ns": MICROSECONDS,
    "hugeint": pa.decimal128(38, 0),
    "uhugeint": pa.decimal128(38, 0),
    "ubigint": pa.decimal128(20, 0),
}
"""By DuckDB's name of the type; whatever is not here is text, and a nested type JSON text."""

NESTED = frozenset({"struct", "map", "union", "list", "array"})
CAST = {
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "HUGEINT": "DECIMAL(38, 0)",
    "UHUGEINT": "DECIMAL(38, 0)",
    "UBIGINT": "DECIMAL(20, 0)",
}


UNSPEAKABLE = re.compile("FLOAT|DOUBLE")


def column(name: str, kind: DuckDBPyType, *, nullable: bool, as_text: bool) -> Column:
    """The column of a DuckDB type."""
    declared = str(kind)
    if as_text:
        return Column(name, declared, TEXT, nullable)
    arrow = _list(kind) or _decimal(kind) or TYPES.get(kind.id, TEXT)
    json = declared == "JSON" or (kind.id in NESTED and arrow == TEXT)
    return Column(name, declared, arrow, nullable, json)


def wire(source: Column) -> exp.Expr:
    """The expression by which a column is selected: itself, cast, or as text."""
    value: exp.Expr = exp.column(source.name, quoted=True)
    if source.json and source.declared != "JSON":
        value = exp.cast(exp.Anonymous(this="to_json", expressions=[value]), "VARCHAR", dialect="duckdb")
    elif source.type == TEXT and source.declared != "VARCHAR":
        value = exp.cast(value, "VARCHAR", dialect="duckdb")
    elif narrowed(source):
        value = exp.cast(value, CAST[source.declared], dialect="duckdb")
    elif pa.types.is_list(source.type):
        value = exp.cast(value, source.declared.rpartition("[")[0] + "[]", dialect="duckdb")
    return exp.alias_(value, source.name, quoted=True)


def narrowed(source: Column) -> bool:
    """Whether DuckDB itself stops at a value that does not fit."""
    return source.declared in CAST and source.type != TEXT


def rebuilt(source: Column, values: pa.Array) -> pa.Array:
    """The array of the column's own type. Raises RowsRefused for a value that it cannot carry."""
    within(source, values, LIMITS)
    if source.json and source.declared != "JSON" and UNSPEAKABLE.search(source.declared):
        _refuse_no_numbers(source, values)
    try:
        return values.cast(source.type)
    except pa.ArrowInvalid:
        raise refused(source, "a value that is not a whole number of microseconds") from None


def _list(kind: DuckDBPyType) -> pa.DataType | None:
    if kind.id not in {"list", "array"}:
        return None
    child: Any = dict(kind.children)["child"]
    known = _decimal(child) or SIMPLE.get(child.id)
    return pa.list_(known) if known and str(child) != "JSON" else None


def _decimal(kind: DuckDBPyType) -> pa.DataType | None:
    if kind.id != "decimal":
        return None
    parts: dict[str, Any] = dict(kind.children)
    return pa.decimal128(parts["precision"], parts["scale"])


def _refuse_no_numbers(source: Column, values: pa.Array) -> None:
    """NaN and infinities inside a STRUCT or MAP: JSON has no word for them, and DuckDB writes one all the same."""
    if pc.any(pc.match_substring_regex(values, r"[:\[,]\s*-?(NaN|Infinity|nan|inf)\b")).as_py():
        raise refused(source, "NaN or an infinity inside a structure")
