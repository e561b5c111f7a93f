"""The types of MySQL and MariaDB as Arrow types, how each is selected, and how it is rebuilt from its text.

A type is a row of a table here; nothing in this file speaks to a server. Every value arrives as text (mysql_wire.py);
what a column is declared as is found out in mysql_catalog.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from resources.databases.base import Column
from resources.databases.values import Limits, refused, within
from spec.errors import RowsRefused

LIMITS = Limits(timestamp=(-62_135_596_800_000_000, 253_402_300_799_999_999), date=(-719_162, 2_932_896))
"""The years 1 to 9999: the server also keeps a year 0, which is none."""

TEXT, BYTES, MICROSECONDS = pa.string(), pa.binary(), pa.timestamp("us")
TYPES: Mapping[str, pa.DataType] = {
    "tinyint": pa.int8(),
    "tinyint unsigned": pa.uint8(),
    "smallint": pa.int16(),
    "smallint unsigned": pa.uint16(),
    "mediumint": pa.int32(),
    "mediumint unsigned": pa.uint32(),
    "int": pa.int32(),
    "int unsigned": pa.uint32(),
    "bigint": pa.int64(),
    "bigint unsigned": pa.uint64(),
    "bit": pa.uint64(),
    "year": pa.int16(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "datetime": MICROSECONDS,
    "timestamp": pa.timestamp("us", tz="UTC"),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"), TEXT),
    **dict.fromkeys(("uuid", "inet4", "inet6", "null"), TEXT),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), BYTES),
}
"""By the declared type without its measures. A decimal is looked up by its digits; what is not here is refused."""

SHAPES = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
     "geometrycollection", "geomcollection"}
)  # fmt: skip
BLOBS = frozenset(name for name, kind in TYPES.items() if kind == BYTES)
DECIMAL_DIGITS = 38
DECLARED = re.compile(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?( unsigned)?")
CHARSET = re.compile(r" character set (\w+)$")
EPOCH = "1970-01-01"


def column(name: str, declared: str, *, nullable: bool, as_text: bool, json: bool = False) -> Column:
    """The column of a declared type ("int unsigned", "decimal(12,2)", "varchar(9) character set big5")."""
    kind = TEXT if as_text else _decimal(declared) or TYPES.get(_key(declared), BYTES)
    return Column(name, declared, kind, nullable, (json or declared == "json") and not as_text)


def wire(source: Column) -> exp.Expr:
    """The expression by which a column is selected."""
    value: exp.Expr = exp.column(source.name, quoted=True)
    base = _base(source)
    if base in SELECTED:
        value = SELECTED[base](value)
    elif source.type == TEXT and base in SPELLED:
        value = SPELLED[base](value)
    elif source.type == TEXT and not _listed(source):
        value = exp.cast(value, "char", dialect="mysql")
    return exp.alias_(value, source.name, quoted=True)


def _call(name: str, *before: exp.Expr) -> Callable[[exp.Expr], exp.Expr]:
    return lambda value: exp.Anonymous(this=name, expressions=[*(each.copy() for each in before), value])


def _hex(value: exp.Expr) -> exp.Expr:
    return _call("CONCAT", exp.Literal.string("0x"))(_call("HEX")(value))


SELECTED: Mapping[str, Callable[[exp.Expr], exp.Expr]] = {
    # The server prints six digits of a float, and all that matter of a double.
    "float": lambda value: exp.cast(value, "double", dialect="mysql"),
    "bit": lambda value: exp.cast(value, "unsigned", dialect="mysql"),
}
SPELLED: Mapping[str, Callable[[exp.Expr], exp.Expr]] = dict.fromkeys(BLOBS, _hex) | dict.fromkeys(
    SHAPES, _call("ST_AsText")
)
"""How a column of `as_text` is selected whose bytes are no text."""


def guards(columns: tuple[Column, ...]) -> dict[str, Column]:
    """Columns that are also compared with themselves, by the name that the comparison has in the result.

    Of a character set other than those that lie wholly within UTF-8 the server puts `?` for what has no place there.
    """
    doubtful = [each for each in columns if each.type == TEXT and CHARSET.search(each.declared)]
    return {f"outgate_text_{number}": each for number, each in enumerate(doubtful)}


def returns(guard: str, source: Column) -> exp.Expr:
    """The expression of a guard: whether the text, made UTF-8 and then its own again, has the bytes that it had."""
    found = CHARSET.search(source.declared)
    value = exp.column(source.name, quoted=True).sql("mysql")
    again = f"CONVERT(CONVERT({value} USING utf8mb4) USING {found[1] if found else 'utf8mb4'})"
    same = f"CAST({again} AS BINARY) <=> CAST({value} AS BINARY)"
    return exp.alias_(exp.maybe_parse(same, dialect="mysql"), guard, quoted=True)


def unchanged(source: Column, guard: pa.BinaryArray) -> None:
    """Refuse a text that did not return as it was."""
    if pc.any(pc.equal(guard, pa.scalar(b"0", BYTES))).as_py():
        raise _unspeakable(source, "text that has no exact form in UTF-8")


def refuse_unlisted(columns: tuple[Column, ...]) -> None:
    """Refuse a column of a type that is not known to be exact. Raises RowsRefused."""
    for each in columns:
        if each.type == BYTES and _base(each) not in BLOBS:
            raise RowsRefused(
                f"column {each.name!r} is {each.declared}, which is not delivered as it is: add {each.name!r} to"
                " `source.as_text` to deliver the source's own text, or leave the column out of `fields`"
            )


def rebuilt(source: Column, texts: pa.BinaryArray) -> pa.Array:
    """The array of the column's own type. Raises RowsRefused for a text that it cannot carry."""
    if source.type == BYTES:
        return texts
    plain = _utf8(source, texts)
    if _base(source) == "float":
        return plain.cast(pa.float64()).cast(pa.float32()).cast(source.type)
    try:
        return within(source, _parsed(source, plain), LIMITS)
    except pa.ArrowInvalid:
        raise refused(source, _odd(source, plain)) from None


def _parsed(source: Column, texts: pa.StringArray) -> pa.Array:
    if pa.types.is_time(source.type):
        moments = pc.binary_join_element_wise(EPOCH, texts, " ").cast(MICROSECONDS)
        return moments.cast(pa.int64()).cast(source.type)
    if pa.types.is_timestamp(source.type):
        return texts.cast(MICROSECONDS).view(source.type)
    return texts.cast(source.type)


def _odd(source: Column, texts: pa.StringArray) -> str:
    """The first text that is no value of the type."""
    for text in texts.unique():
        try:
            _parsed(source, pa.array([text.as_py()], TEXT))
        except pa.ArrowInvalid:
            return repr(text.as_py())
    return "a value out of range"


def _utf8(source: Column, texts: pa.BinaryArray) -> pa.StringArray:
    try:
        return texts.cast(TEXT)
    except pa.ArrowInvalid:
        raise _unspeakable(source, "bytes that are not UTF-8") from None


def _unspeakable(source: Column, found: str) -> RowsRefused:
    return RowsRefused(
        f"column {source.name!r} ({source.declared}) holds {found}: mend it in the source, or leave those rows out in"
        " `source.sql`"
    )


def instants(tree: exp.Expr) -> exp.Expr:
    """The tree with its literal moments in the server's own words: in UTC, as the session is, to the microsecond."""
    return tree.transform(_instant)


def _instant(node: exp.Expr) -> exp.Expr:
    if not (isinstance(node, exp.Cast) and node.is_type("timestamptz", "timestamp") and node.this.is_string):
        return node
    try:
        moment = datetime.fromisoformat(node.this.name)
    except ValueError:
        return node
    plain = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return exp.cast(exp.Literal.string(plain.isoformat(" ", "microseconds")), "datetime(6)", dialect="mysql")


def _decimal(declared: str) -> pa.DataType | None:
    """The type of a decimal, None for another type; more than 38 digits are text, as DuckDB has no more."""
    match = DECLARED.match(declared)
    if not match or match[1] != "decimal":
        return None
    precision, scale = int(match[2]), int(match[3] or 0)
    return pa.decimal128(precision, scale) if precision <= DECIMAL_DIGITS else TEXT


def _key(declared: str) -> str:
    """The key in TYPES: the name, and `unsigned` of an integer."""
    match = DECLARED.match(declared)
    if not match:
        return declared
    unsigned = f"{match[1]} unsigned"
    return unsigned if match[4] and unsigned in TYPES else match[1]


def _base(source: Column) -> str:
    return _key(source.declared).removesuffix(" unsigned")


def _listed(source: Column) -> bool:
    return _key(source.declared) in TYPES or _decimal(source.declared) is not None
