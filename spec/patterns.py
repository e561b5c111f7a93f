"""Patterns of dates such as `yyyy-MM-dd HH:mm:ss`: their letters, and what DuckDB calls them.

The letters that other tools read differently (`YYYY`, `DD`, `hh` without `a`) are refused with the one that is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

LONGEST = 100
_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']")


class Letter(NamedTuple):
    """How DuckDB's strftime says it, and the same of a Python datetime."""

    code: str
    text: Callable[[datetime], str]


LETTERS: Mapping[str, Letter] = {
    "yyyy": Letter("%Y", lambda at: f"{at.year:04d}"),
    "yy": Letter("%y", lambda at: f"{at.year % 100:02d}"),
    "MM": Letter("%m", lambda at: f"{at.month:02d}"),
    "M": Letter("%-m", lambda at: str(at.month)),
    "dd": Letter("%d", lambda at: f"{at.day:02d}"),
    "d": Letter("%-d", lambda at: str(at.day)),
    "HH": Letter("%H", lambda at: f"{at.hour:02d}"),
    "H": Letter("%-H", lambda at: str(at.hour)),
    "hh": Letter("%I", lambda at: f"{(at.hour + 11) % 12 + 1:02d}"),
    "h": Letter("%-I", lambda at: str((at.hour + 11) % 12 + 1)),
    "mm": Letter("%M", lambda at: f"{at.minute:02d}"),
    "ss": Letter("%S", lambda at: f"{at.second:02d}"),
    "SSS": Letter("%g", lambda at: f"{at.microsecond // 1000:03d}"),
    "SSSSSS": Letter("%f", lambda at: f"{at.microsecond:06d}"),
    "a": Letter("%p", lambda at: "PM" if at.hour > 11 else "AM"),  # noqa: PLR2004
}
_MEANT = {"YYYY": "yyyy", "YY": "yy", "DD": "dd", "D": "d", "T": "'T'", "Z": "'Z'", "S": "SSS", "m": "mm", "s": "ss"}
_TWELVE, _TIMES = {"hh", "h"}, {"HH", "H", "hh", "h"}


def pieces(pattern: str) -> Iterator[tuple[str, bool]]:
    """The letters (True) and the plain text (False) of a pattern, in order. Raises ValueError with what is allowed."""
    at = 0
    while at < len(pattern):
        match = _PIECE.match(pattern, at)
        if not match:
            message = f"{pattern!r} has a quote without its second one"
            raise ValueError(message)
        if match[2] and match[0] not in LETTERS:
            hint = f"; write {_MEANT[match[0]]}" if match[0] in _MEANT else ""
            message = (
                f"{pattern!r}: {match[0]!r} is no part of a date{hint} (allowed: {', '.join(LETTERS)}; text in '')"
            )
            raise ValueError(message)
        yield (match[0], True) if match[2] else (_plain(match), False)
        at = match.end()


def _plain(match: re.Match[str]) -> str:
    return match[0] if match[1] is None else match[1].replace("''", "'") or "'"


def check(pattern: str) -> str:
    """The pattern itself. Raises ValueError where it is none, or means something else than it seems to."""
    letters = {text for text, is_letter in pieces(pattern) if is_letter}
    if not letters:
        message = f"{pattern!r} has no part of a date (allowed: {', '.join(LETTERS)})"
        raise ValueError(message)
    if bool(letters & _TWELVE) != ("a" in letters):
        message = f"{pattern!r}: hh is the hour from 1 to 12 and wants an `a` (AM or PM); the hour of the day is HH"
        raise ValueError(message)
    if "mm" in letters and not letters & _TIMES:
        message = f"{pattern!r}: mm are the minutes of an hour; the month is MM"
        raise ValueError(message)
    return pattern


def strftime(pattern: str) -> str:
    """The pattern as DuckDB's strftime reads it."""
    return "".join(LETTERS[text].code if letter else text.replace("%", "%%") for text, letter in pieces(pattern))


def spelled(moment: date | datetime, pattern: str) -> str:
    """A local moment as text."""
    at = moment if isinstance(moment, datetime) else datetime(*moment.timetuple()[:3])  # noqa: DTZ001  (a day has none)
    return "".join(LETTERS[text].text(at) if letter else text for text, letter in pieces(pattern))


Pattern = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST, description="such as yyyy-MM-dd HH:mm:ss"),
    AfterValidator(check),
]
