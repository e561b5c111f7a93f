"""`date:` expressions: moments relative to the end of a window, such as `date:-30 days` or `date:first day of this
month`.

Grammar: `date:` + an optional base (now, today, yesterday, tomorrow, first|last day of this|last|next month) + any
number of offsets (`-30 days`, `+2 hours`). Day words mean 00:00 in the export's zone. Never a clock: the caller says
what now is.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

PREFIX = "date:"
_BASE = re.compile(r"now|today|yesterday|tomorrow|(first|last) day of (this|last|next) month")
_OFFSET = re.compile(r"([+-])\s*([0-9]{1,5})\s+(minute|hour|day|week|month|year)s?")
_DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}
_MONTHS = {"last": -1, "this": 0, "next": 1}


class Moment(NamedTuple):
    """A parsed expression: the base's words, and signed offsets by unit."""

    base: str
    offsets: tuple[tuple[int, str], ...]


def is_expression(value: object) -> bool:
    """Whether a value is a `date:` expression."""
    return isinstance(value, str) and value.startswith(PREFIX)


def parse(text: str) -> Moment:
    """Read an expression. Raises ValueError with what is allowed."""
    rest = text.removeprefix(PREFIX).strip().lower()
    match = _BASE.match(rest)
    base = match[0] if match else "now"
    rest, offsets = rest[match.end() if match else 0 :].strip(), []
    while rest:
        step = _OFFSET.match(rest)
        if not step:
            message = (
                f"{text!r} is not a date expression; write date: and now, today, yesterday, tomorrow or "
                "`first|last day of this|last|next month`, then offsets such as -30 days"
            )
            raise ValueError(message)
        offsets.append((int(step[1] + step[2]), step[3]))
        rest = rest[step.end() :].strip()
    return Moment(base, tuple(offsets))


def evaluate(text: str, now: datetime, zone: str) -> datetime:
    """The instant that an expression means, seen from the aware `now`, as an aware datetime in `zone`."""
    moment = parse(text)
    local = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if moment.base != "now":
        local = local.replace(hour=0, minute=0, second=0, microsecond=0)
    for amount, unit in (*_base(moment.base), *moment.offsets):
        local = _shift(local, amount, unit)
    return local.replace(tzinfo=ZoneInfo(zone))


def _base(base: str) -> list[tuple[int, str]]:
    if base in _DAYS:
        return [(_DAYS[base], "day")]
    if match := re.fullmatch(r"(first|last) day of (\w+) month", base):
        return [(_MONTHS[match[2]], f"{match[1]} day")]
    return []


def _shift(local: datetime, amount: int, unit: str) -> datetime:
    if unit in {"minute", "hour", "day", "week"}:
        return local + timedelta(**{f"{unit}s": amount})
    if unit == "first day":
        return _months(local.replace(day=1), amount)
    if unit == "last day":
        return _months(local.replace(day=1), amount + 1) - timedelta(days=1)
    return _months(local, amount * (12 if unit == "year" else 1))


def _months(local: datetime, amount: int) -> datetime:
    year, month = divmod(local.year * 12 + local.month - 1 + amount, 12)
    first = local.replace(year=year, month=month + 1, day=1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(local.day, last.day))
