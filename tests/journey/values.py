"""Values that are easily mangled, by PostgreSQL type, and one form in which all formats' readings of them compare.

Which formats spell them how is not said here but found out in test_values.py.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.journey.readers import loads

Canonical = Callable[[Any], Any]
TEXTS = (
    "", " ", "  both  ", "NULL", "null", r"\N", "=1+1", "+1", "-1", "@SUM(A1)", "a;b", "a|b", "a,b", 'say "hi"', '"', "'",
    "one\ntwo", "one\r\ntwo", "one\rtwo", "\n", "tab\there", "line\u2028separator\u2029", "😀 👩‍👩‍👧", "é", "e\u0301",
    "\ufeffbom", "\x01\x1f\x7f", "back\\slash", "#comment", "{}", "true", "0x1F", "1e5", "x" * 5000,
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A type, some values of it as SQL text, and what makes readings of it comparable.

    `structured` says that text formats carry it as JSON text, and JSON as itself.
    """

    type: str
    texts: tuple[str, ...]
    canonical: Canonical
    structured: bool = False


def exact(value: Any) -> Any:
    """A decimal as its digits and scale; a special one as its word."""
    number = Decimal(str(value))
    return number.as_tuple() if number.is_finite() else str(number)


def double(value: Any) -> str:
    """A float8 as the shortest text that is it: -0.0 is not 0.0, and NaN is NaN."""
    return repr(float(value))


def single(value: Any) -> str:
    """A float4: both `0.1` and what float8 makes of it."""
    return repr(struct.unpack("f", struct.pack("f", float(value)))[0])


def instant(value: Any) -> datetime:
    """An aware instant in UTC."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    assert found.tzinfo
    return found.astimezone(UTC)


def moment(value: Any) -> datetime:
    """A local time without a zone."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    assert found.tzinfo is None
    return found


def day(value: Any) -> date:
    """A date."""
    return value if isinstance(value, date) else date.fromisoformat(value)


def clock(value: Any) -> time:
    """A time of day."""
    return value if isinstance(value, time) else time.fromisoformat(value)


def flag(value: Any) -> bool:
    """A boolean, in text as `true` and `false`."""
    return {"true": True, "false": False}[value] if isinstance(value, str) else bool(value)


def octets(value: Any) -> bytes:
    """Bytes, in text as base64."""
    return b64decode(value, validate=True) if isinstance(value, str) else bytes(value)


def each(canonical: Canonical) -> Canonical:
    """An array of such values, in text as JSON."""

    def canonical_array(value: Any) -> Any:
        items = loads(value) if isinstance(value, str) else value
        return [None if item is None else canonical(item) for item in items]

    return canonical_array


def document(value: Any) -> Any:
    """JSON, with each number as it is spelled."""
    return value


AS_TEXT = frozenset({"inet", "interval"})
"""Types of KINDS that have no Arrow type and leave as the server's text of them."""

KINDS: dict[str, Kind] = {
    "wide": Kind(
        "numeric(38,10)", ("1234567890123456789012345678.0123456789", "-0.0000000001", "0", "1.10"), exact
    ),
    "money": Kind("numeric(12,2)", ("9999999999.99", "-0.01", "0", "1.10"), exact),
    "tight": Kind("numeric(18,4)", ("99999999999999.9999", "-0.0001", "1"), exact),
    "digits": Kind("numeric(20,0)", ("18446744073709551615", "-1"), exact),
    "free": Kind("numeric", ("1.10", "12345678901234567890123456789012345678901234567890.5", "1e-30", "NaN", "Infinity"), exact),
    "instant": Kind("timestamptz", ("2024-02-29 23:59:59.999999Z", "1969-12-31 23:59:59.000001Z", "2024-01-01Z", "0001-01-01Z"), instant),
    "moment": Kind("timestamp", ("2024-03-31 02:30:00.000001", "9999-12-31 23:59:59.999999", "0001-01-01"), moment),
    "day": Kind("date", ("2024-02-29", "0001-01-01", "9999-12-31"), day),
    "clock": Kind("time", ("00:00", "23:59:59.999999"), clock),
    "flag": Kind("boolean", ("true", "false"), flag),
    "whole": Kind("bigint", ("9223372036854775807", "-9223372036854775808", "9007199254740993"), int),
    "small": Kind("smallint", ("-32768", "32767"), int),
    "double": Kind("float8", ("NaN", "Infinity", "-Infinity", "-0", "1e-300", "0.1", "1.7976931348623157e308", "5e-324", "1e22", "123456789012345680"), double),
    "single": Kind("float4", ("NaN", "-Infinity", "-0", "0.1", "1e-38", "3.4028235e38", "16777216"), single),
    'we"ird ;name': Kind("text", TEXTS, str),
    "short": Kind("varchar(20)", ("", "é", " x "), str),
    "padded": Kind("char(4)", ("ab", ""), str),
    "key": Kind("uuid", ("00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"), lambda value: UUID(str(value))),
    "bytes": Kind("bytea", (r"\x", r"\x00ff0d0a", r"\x22"), octets),
    "doc": Kind(
        "jsonb",
        ('{"a": 1.10, "b": [12345678901234567890.12345, 1e400, null, true, ""], "ü": {"😀": "\\u2028 \\"q\\" \\\\ \\n"}}', "null", '"text"', "1.0", "[]", "-0.0"),
        document, structured=True,
    ),
    "raw": Kind("json", ('{ "a" : 1.10,\n "a" : 2 }', '["\\r\\n"]'), document, structured=True),
    "ints": Kind("integer[]", ("{}", "{1,NULL,-3}", "{2147483647}"), each(int)),
    "words": Kind("text[]", (r'{"a \"q\"",NULL,"NULL","",",","{}","back\\slash","é😀"}', "{}", '{"line\nbreak"}'), each(str)),
    "when": Kind("timestamptz[]", ('{"2024-02-29 23:59:59.999999Z",NULL}',), each(instant)),
    "doubles": Kind("float8[]", ("{NaN,-0,1e-300,NULL}",), each(double)),
    "odd": Kind("inet", ("10.0.0.1/8", "::1"), str),
    "span": Kind("interval", ("1 mon 3 days 04:05:06.7", "-00:00:01"), str),
}  # fmt: skip
