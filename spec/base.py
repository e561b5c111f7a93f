"""The base of every model of the language, and the small types that many of them share.

Only what has no place of its own belongs here: names, durations, sizes, zones.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


class Model(BaseModel):
    """Strict: unknown keys are errors, nothing is coerced, and a value once read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Misplaced(ValueError):
    """A rule between parts of a model that does not hold, with the path of the part to look at."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


_DURATION = re.compile(r"([1-9][0-9]{0,5}|0)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZE = re.compile(r"([1-9][0-9]{0,8})(KB|MB|GB|KiB|MiB|GiB)")
_BYTES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def seconds(text: str) -> timedelta:
    """The length of a duration such as `30s`, `5m`, `2h`, `1d`. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match:
        message = f"{text!r} is not a duration; write a whole number and one of s, m, h, d, such as 5m"
        raise ValueError(message)
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def size(text: str) -> int:
    """The bytes of a size such as `200MB` or `64MiB`. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if not match:
        message = f"{text!r} is not a size; write a whole number and one of {', '.join(_BYTES)}, such as 200MB"
        raise ValueError(message)
    return int(match[1]) * _BYTES[match[2]]


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(text: str) -> str:
    if text not in _zones():
        message = f"{text!r} is not a time zone; use an IANA name such as Europe/Paris or UTC"
        raise ValueError(message)
    ZoneInfo(text)
    return text


def _checked(check: object) -> AfterValidator:
    def validate(text: str) -> str:
        check(text)  # type: ignore[operator]
        return text

    return AfterValidator(validate)


LOOKS: dict[str, str] = {}
"""What a pattern wants, in words, by the pattern."""


def like(pattern: str, words: str) -> FieldInfo:
    """The rule that a text has this pattern; `words`, which begin with an example, say so to people."""
    LOOKS[pattern] = words
    found: FieldInfo = Field(pattern=pattern, description=words)
    return found


Name = Annotated[str, like(r"^[a-z][a-z0-9_]{0,62}$", "loyalty_events: lower case, digits and _, at most 63")]
Duration = Annotated[str, _checked(seconds), Field(description="such as 30s, 5m, 2h, 1d")]
Size = Annotated[str, _checked(size), Field(description="such as 200MB or 64MiB")]
Zone = Annotated[str, AfterValidator(_zone), Field(description="an IANA time zone such as Europe/Paris")]
Identifier = Annotated[str, Field(min_length=1, max_length=128, description="a column or table of the source")]
