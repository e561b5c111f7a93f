"""`date:` expressions: moments relative to the end of a window, such as `date:-30 days` or `date:monday this week`.

Grammar: `date:` + an optional base (the table below) + any number of offsets (`-30 days`, `+2 hours`) + an optional
`|` and a pattern, for columns of text. Day words mean 00:00 in the export's zone; minutes and hours are elapsed time,
longer units keep the clock. A time that a clock skips is that much later, one that comes twice is the first. Never a
clock of ours: the caller says what now is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from spec.patterns import check

PREFIX = "date:"
LONGEST = 200
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_WHICH = {"last": -1, "this": 0, "next": 1}
_DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}
_OFFSET = re.compile(r"([+-])\s*([0-9]{1,5})\s+(minute|hour|day|week|month|year)s?(?![a-z])")
_ELAPSED = {"minute": 60, "hour": 3600}
_ALLOWED = (
    "write date: and now, today, yesterday, tomorrow, `monday this|last|next week`, `first|last day of this|last|next "
    "month` or `first|last day of january this|last|next year`, then offsets such as -30 days"
)


class Moment(NamedTuple):
    """A parsed expression: the base's words, signed offsets by unit, and the pattern of the text ("" for none)."""

    base: str
    offsets: tuple[tuple[int, str], ...]
    pattern: str


def is_expression(value: object) -> bool:
    """Whether a value is a `date:` expression."""
    return isinstance(value, str) and value.startswith(PREFIX)


def parse(text: str) -> Moment:
    """Read an expression. Raises ValueError with what is allowed, also where it leaves the years 1 to 9999."""
    if len(text) > LONGEST:
        message = f"{text[:40]!r}... has more than {LONGEST} characters, which no date expression needs"
        raise ValueError(message)
    said, bar, pattern = text.removeprefix(PREFIX).partition("|")
    rest = said.strip().lower()
    match = next((found for base in BASES if (found := base.match(rest))), None)
    rest, offsets = rest[match.end() if match else 0 :].strip(), []
    while rest:
        step = _OFFSET.match(rest)
        if not step:
            message = f"{text!r} is not a date expression; {_ALLOWED}"
            raise ValueError(message)
        offsets.append((int(step[1] + step[2]), step[3]))
        rest = rest[step.end() :].strip()
    moment = Moment(match[0] if match else "now", tuple(offsets), check(pattern.strip()) if bar else "")
    _seen(moment, text, datetime(2000, 1, 1, tzinfo=UTC), "UTC")
    return moment


def evaluate(text: str, now: datetime, zone: str) -> datetime:
    """The instant that an expression means, seen from the aware `now`, as an aware datetime in `zone`.

    Raises ValueError where it leaves the years 1 to 9999.
    """
    return _seen(parse(text), text, now, zone)


def _seen(moment: Moment, text: str, now: datetime, zone: str) -> datetime:
    try:
        local = now.astimezone(ZoneInfo(zone))
        if moment.base != "now":
            day = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            local = _at(_based(moment.base, day), zone)
        for amount, unit in moment.offsets:
            local = _shifted(local, amount, unit, zone)
    except (OverflowError, ValueError):
        message = f"{text!r} leaves the years 1 to 9999"
        raise ValueError(message) from None
    return local


def _at(wall: datetime, zone: str) -> datetime:
    """By way of UTC, so that a time that was skipped is one that there is."""
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC).astimezone(ZoneInfo(zone))


def _shifted(local: datetime, amount: int, unit: str, zone: str) -> datetime:
    if unit in _ELAPSED:
        return (local.astimezone(UTC) + timedelta(seconds=amount * _ELAPSED[unit])).astimezone(ZoneInfo(zone))
    wall = local.replace(tzinfo=None)
    if unit in {"day", "week"}:
        return _at(wall + timedelta(**{f"{unit}s": amount}), zone)
    return _at(_months(wall, amount * (12 if unit == "year" else 1)), zone)


def _months(wall: datetime, amount: int) -> datetime:
    """So many months on, and the month's last day where it has no such day."""
    year, month = divmod(wall.year * 12 + wall.month - 1 + amount, 12)
    first = wall.replace(year=year, month=month + 1, day=1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(wall.day, last.day))


def _end_of(which: str, first: datetime) -> datetime:
    return first if which == "first" else _months(first, 1) - timedelta(days=1)


def _day_of_month(day: datetime, match: re.Match[str]) -> datetime:
    return _end_of(match[1], _months(day.replace(day=1), _WHICH[match[2]]))


def _day_of_year(day: datetime, match: re.Match[str]) -> datetime:
    return _end_of(match[1], _months(day.replace(month=_MONTHS.index(match[2]) + 1, day=1), 12 * _WHICH[match[3]]))


def _weekday(day: datetime, match: re.Match[str]) -> datetime:
    return day + timedelta(days=_WEEKDAYS.index(match[1]) - day.weekday() + 7 * _WHICH[match[2]])


BASES: Mapping[re.Pattern[str], Callable[[datetime, re.Match[str]], datetime]] = {
    re.compile(r"now\b"): lambda day, _: day,
    re.compile(r"(today|yesterday|tomorrow)\b"): lambda day, match: day + timedelta(days=_DAYS[match[1]]),
    re.compile(rf"({'|'.join(_WEEKDAYS)}) (last|this|next) week\b"): _weekday,
    re.compile(r"(first|last) day of (last|this|next) month\b"): _day_of_month,
    re.compile(rf"(first|last) day of ({'|'.join(_MONTHS)}) (last|this|next) year\b"): _day_of_year,
}
"""What an expression may begin with, and its day, from the midnight of now's day. Weeks begin on Monday."""


def _based(base: str, day: datetime) -> datetime:
    return next(build(day, match) for pattern, build in BASES.items() if (match := pattern.fullmatch(base)))
