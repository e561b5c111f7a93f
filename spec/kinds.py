"""The kinds of columns that the language tells apart, by DuckDB's names of their types, and their words for people.

What may be done with a kind stands with those who do it: filters.py, fields and aggregates in shape.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Kind = Literal["text", "number", "boolean", "date", "time", "local", "instant", "list", "other"]

WORDS: Mapping[Kind, str] = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date",
    "time": "a time of day",
    "local": "a date and time without a zone",
    "instant": "an instant",
    "list": "a list",
    "other": "of a type without operators of its own",
}
FLOATS = frozenset({"FLOAT", "DOUBLE"})
INTEGERS: Mapping[str, tuple[int, int]] = {
    **{name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for name, bits in (
        ("TINYINT", 8), ("SMALLINT", 16), ("INTEGER", 32), ("BIGINT", 64), ("HUGEINT", 128)
    )},
    **{name: (0, 2**bits - 1) for name, bits in (
        ("UTINYINT", 8), ("USMALLINT", 16), ("UINTEGER", 32), ("UBIGINT", 64), ("UHUGEINT", 128)
    )},
}  # fmt: skip
"""The least and the greatest value, by type."""
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_ITEM = re.compile(r"(.+)\[\d*\]")
_PLAIN: Mapping[str, Kind] = {
    **dict.fromkeys(("VARCHAR", "JSON", "UUID"), "text"),
    **dict.fromkeys([*INTEGERS, *FLOATS], "number"),
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIME": "time",
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "local"),
    "TIMESTAMP WITH TIME ZONE": "instant",
}


def kind_of(kind: str) -> Kind:
    """The kind of a DuckDB type such as `DECIMAL(12,2)` or `VARCHAR[]`."""
    if _ITEM.fullmatch(kind):
        return "list"
    if digits(kind):
        return "number"
    return "text" if kind.startswith("ENUM(") else _PLAIN.get(kind, "other")


def item_of(kind: str) -> str:
    """The type of a list's items."""
    match = _ITEM.fullmatch(kind)
    return match[1] if match else kind


def digits(kind: str) -> tuple[int, int] | None:
    """How many digits a decimal type has, and how many of them are behind the point; None for any other type."""
    match = _DECIMAL.fullmatch(kind)
    return (int(match[1]), int(match[2])) if match else None
