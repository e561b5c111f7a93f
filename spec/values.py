"""The values that a declaration compares with: read by the kind of their column, and written as exact literals of its
very type, so that the engine has nothing to convert.

A value that a column could never have is an error, never a condition that is silently false.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlglot import exp

from spec.dates import evaluate, is_expression, parse
from spec.kinds import FLOATS, INTEGERS, Kind, digits, kind_of
from spec.patterns import spelled

Scalar = str | int | float | bool
Read = str | Decimal | bool | date | time | datetime
_NUMBER = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{1,40})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)


class Clock(NamedTuple):
    """What `date:` and local times are relative to: the window's end, the zone of the windows, and the zone in which
    the source's columns without a zone are.
    """

    now: datetime
    zone: str
    source_zone: str


def _text(value: Scalar) -> str:
    if not isinstance(value, str):
        message = f"{value!r} is not text; write it in quotes"
        raise ValueError(message)  # noqa: TRY004  (what a validator raises)
    return value


def _number(value: Scalar) -> Decimal:
    if isinstance(value, bool) or not (_NUMBER.fullmatch(value) if isinstance(value, str) else math.isfinite(value)):
        message = f"{value!r} is not a number"
        raise ValueError(message)
    return Decimal(repr(value) if isinstance(value, float) else value)


def _boolean(value: Scalar) -> bool:
    if not isinstance(value, bool):
        message = f"{value!r} is not true or false"
        raise ValueError(message)  # noqa: TRY004  (what a validator raises)
    return value


def _date(value: Scalar) -> date:
    return date.fromisoformat(_written(value, _DATE, "a date such as 2026-01-31"))


def _time(value: Scalar) -> time:
    return time.fromisoformat(_written(value, _TIME, "a time of day such as 14:30"))


def _local(value: Scalar) -> datetime:
    moment = _instant(value)
    if moment.tzinfo:
        message = f"{value!r} has an offset, which the column has not; write the time without one"
        raise ValueError(message)
    return moment


def _instant(value: Scalar) -> datetime:
    return datetime.fromisoformat(_written(value, _MOMENT, "a date or time such as 2026-01-31 or 2026-01-31 14:30"))


def _written(value: Scalar, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        message = f"{value!r} is not {what}"
        raise ValueError(message)
    return value


READERS: Mapping[Kind, Callable[[Scalar], Read]] = {
    "text": _text, "number": _number, "boolean": _boolean,
    "date": _date, "time": _time, "local": _local, "instant": _instant,
}  # fmt: skip
RELATIVE = frozenset({"date", "local", "instant"})
"""The kinds that a `date:` expression is a value of."""


def read(value: Scalar, kind: Kind) -> Read | None:
    """The value as one of a kind, None for a `date:` expression. Raises ValueError saying what is allowed."""
    if not is_expression(value) or kind not in {*RELATIVE, "text"}:
        return READERS[kind](value)
    pattern = parse(str(value)).pattern
    if bool(pattern) != (kind == "text"):
        said = "text wants a pattern behind it" if kind == "text" else "only text has a pattern"
        message = f"{value!r} is a date expression: {said}, as in `date:yesterday|yyyy-MM-dd`"
        raise ValueError(message)
    return None


def literal(value: Scalar, type_: str, clock: Clock) -> exp.Expr:
    """The value as a literal of a column's DuckDB type. Raises ValueError saying what the column can have."""
    kind = kind_of(type_)
    if kind not in READERS:
        message = f"values of {type_} cannot be compared"
        raise ValueError(message)
    found = resolved(value, kind, clock)
    if isinstance(found, Decimal):
        return _cast(_fitting(found, type_), type_)
    if isinstance(found, bool):
        return exp.true() if found else exp.false()
    if isinstance(found, str):
        return exp.Literal.string(found.lower() if type_ == "UUID" else found)
    return _cast(_iso(found), type_)


def resolved(value: Scalar, kind: Kind, clock: Clock) -> Read:
    """What the value is: of a `date:` expression what it means at that moment, of an instant the time in UTC."""
    found = read(value, kind)
    if found is None:
        found = _relative(str(value), kind, clock)
    if isinstance(found, datetime) and kind == "instant":
        return _in_utc(found if found.tzinfo else found.replace(tzinfo=ZoneInfo(clock.zone)))
    return found


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        message = f"{moment.isoformat(sep=' ')!r} is outside the years 1 to 9999 in UTC; write it with a Z"
        raise ValueError(message) from None


def _relative(text: str, kind: Kind, clock: Clock) -> str | date | datetime:
    moment = evaluate(text, clock.now, clock.zone)
    if kind == "instant":
        return moment
    if kind == "text":
        return spelled(moment, parse(text).pattern)
    return moment.date() if kind == "date" else moment.astimezone(ZoneInfo(clock.source_zone)).replace(tzinfo=None)


def _iso(value: date | time | datetime) -> str:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()


def _cast(text: str, type_: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), type_, dialect="duckdb")


def _fitting(value: Decimal, type_: str) -> str:
    """The number as text that the type reads without rounding; a float takes the nearest value that it has."""
    if type_ in FLOATS:
        return _nearest(value, type_)
    low, high, behind = _limits(type_)
    whole = Fraction(value) * 10**behind
    if whole.denominator > 1 or not low <= whole <= high:
        least, most = (_shifted(each, behind) for each in (low, high))
        message = f"{value:f} is no value of {type_}, which has {behind} digits behind the point, {least} to {most}"
        raise ValueError(message)
    return f"{value:f}"


def _shifted(units: int, behind: int) -> str:
    """Without arithmetic, which would round to the 28 digits of Python's decimals."""
    sign, figures, _ = Decimal(units).as_tuple()
    return f"{Decimal((sign, figures, -behind)):f}"


def _limits(type_: str) -> tuple[int, int, int]:
    """The least and greatest value in units of the last digit, and how many digits are behind the point."""
    if type_ in INTEGERS:
        return *INTEGERS[type_], 0
    all_digits, behind = digits(type_) or (38, 0)
    return 1 - 10**all_digits, 10**all_digits - 1, behind


def _nearest(value: Decimal, type_: str) -> str:
    try:
        struct.pack("f" if type_ == "FLOAT" else "d", float(value))
    except OverflowError:
        message = f"{value:.6e} is beyond what {type_} can hold"
        raise ValueError(message) from None
    return str(value)
