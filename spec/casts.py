"""`cast:` the types that a field may be given, and the expressions that do it without altering a value.

A value that the type cannot carry whole (1.5 as an integer, 2026-02-30 as a date) stops the window: nothing is rounded
or guessed. Which cast is possible from which kind of column is one table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field
from sqlglot import exp

from spec.kinds import FLOATS, WORDS, Kind, digits, kind_of

MOST_DIGITS = 38
TARGETS: Mapping[str, str] = {
    "text": "VARCHAR", "integer": "BIGINT", "boolean": "BOOLEAN", "date": "DATE", "time": "TIME",
    "datetime": "TIMESTAMP",
}  # fmt: skip
"""DuckDB's type by the word; `decimal(digits,behind)` says its own."""
_DECIMAL = re.compile(r"decimal\(([1-9][0-9]?),\s*([0-9]{1,2})\)")
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
_DAY = r"\d{4}-\d\d-\d\d"
_SPELLINGS: Mapping[str, str] = {
    "integer": r"[+-]?[0-9]+", "boolean": r"(?i)true|false", "date": _DAY, "time": _CLOCK,
    "datetime": f"{_DAY}[ T]{_CLOCK}",
}  # fmt: skip
"""How text says a value of a type."""


class Asked(NamedTuple):
    """A cast: from which DuckDB type to which, in which zone, and how the column is told of in an error."""

    source: str
    target: str
    zone: str
    name: str


Build = Callable[[exp.Expr, Asked], exp.Expr]


def _checked(text: str) -> str:
    match = _DECIMAL.fullmatch(text)
    good = match and int(match[2]) <= int(match[1]) <= MOST_DIGITS
    if text not in TARGETS and not good:
        message = f"{text!r} is no type; allowed: {', '.join(TARGETS)}, decimal(12,2) with at most {MOST_DIGITS} digits"
        raise ValueError(message)
    return text


Cast = Annotated[str, AfterValidator(_checked), Field(description="text, integer, decimal(12,2), boolean, date, ...")]


def type_of(cast: str) -> str:
    """The DuckDB type of a cast."""
    return TARGETS.get(cast) or cast.upper().replace(" ", "")


def compile_cast(value: exp.Expr, cast: str, asked: Asked) -> exp.Expr:
    """The value in its new type. Raises ValueError with the types that the column can have."""
    kind, word = kind_of(asked.source), cast.partition("(")[0]
    build = CASTS.get((kind, word))
    if build is None:
        allowed = [to for source, to in CASTS if source == kind]
        hint = (
            "; `format:` makes text of dates and times"
            if word == "text" and kind in {"date", "local", "instant"}
            else ""
        )
        message = (
            f"column {asked.name!r} is {WORDS[kind]} ({asked.source}), which cannot be cast to {cast}; "
            f"possible: {', '.join(allowed) or 'nothing'}{hint}"
        )
        raise ValueError(message)
    return build(value, asked)


def _plainly(value: exp.Expr, asked: Asked) -> exp.Expr:
    return exp.cast(value, asked.target, dialect="duckdb")


def _tried(value: exp.Expr, asked: Asked) -> exp.Expr:
    return exp.TryCast(this=value.copy(), to=exp.DataType.build(asked.target, dialect="duckdb"))


def _where(good: exp.Expr, value: exp.Expr, asked: Asked) -> exp.Expr:
    """The cast where a condition holds, NULL for NULL, else the end of the window with a message."""
    case = exp.Case().when(exp.Is(this=value.copy(), expression=exp.null()), exp.null())
    return case.when(good, _tried(value, asked)).else_(_refusal(value, asked))


def _refusal(value: exp.Expr, asked: Asked) -> exp.Expr:
    """Names the value, and so hangs on the row: an error without one would be raised for no rows at all."""
    said = (
        exp.convert(f"column {asked.name!r} holds "),
        exp.func("left", exp.cast(value.copy(), "text"), exp.convert(60)),
        exp.convert(f", which is no {asked.target}: correct it, or give the field a `replace:` or `default:`"),
    )
    return exp.func("error", exp.func("concat", *said))


def _from_text(value: exp.Expr, asked: Asked) -> exp.Expr:
    word = next((word for word, type_ in TARGETS.items() if type_ == asked.target), "decimal")
    _, behind = digits(asked.target) or (0, 0)
    pattern = _SPELLINGS.get(word, rf"[+-]?[0-9]+(\.[0-9]{{0,{behind}}}0*)?")
    spelled = exp.Anonymous(this="regexp_full_match", expressions=[value.copy(), exp.convert(pattern)])
    return _where(exp.and_(spelled, _there(_tried(value, asked))), value, asked)


def _there(value: exp.Expr) -> exp.Expr:
    return exp.Not(this=exp.Is(this=value, expression=exp.null()))


def _number(value: exp.Expr, asked: Asked) -> exp.Expr:
    """Digits behind the point may only go where they are zeros; a float must come back as the same float."""
    if asked.source in FLOATS:
        back = exp.cast(_tried(value, asked), asked.source, dialect="duckdb")
        return _where(exp.EQ(this=back, expression=value.copy()), value, asked)
    (_, had), (_, has) = digits(asked.source) or (0, 0), digits(asked.target) or (0, 0)
    good = _there(_tried(value, asked))
    if had > has:
        tail = exp.func("right", exp.cast(value.copy(), "text"), exp.convert(had - has))
        good = exp.and_(good, exp.EQ(this=tail, expression=exp.convert("0" * (had - has))))
    return _where(good, value, asked)


def _locally(value: exp.Expr, asked: Asked) -> exp.Expr:
    """Of an instant the day or the clock in the zone of the windows."""
    return _plainly(local(value, asked.source, asked.zone), asked)


def local(value: exp.Expr, type_: str, zone: str) -> exp.Expr:
    """An instant as local time; anything else as it is."""
    return (
        exp.Anonymous(this="timezone", expressions=[exp.convert(zone), value]) if kind_of(type_) == "instant" else value
    )


def _same(value: exp.Expr, asked: Asked) -> exp.Expr:
    return value if asked.source == asked.target else _plainly(value, asked)


CASTS: Mapping[tuple[Kind, str], Build] = {
    ("text", "text"): _same,
    **{("text", word): _from_text for word in ("integer", "decimal", "boolean", "date", "time", "datetime")},
    ("number", "text"): _plainly,
    ("number", "integer"): _number,
    ("number", "decimal"): _number,
    ("boolean", "boolean"): _same,
    ("boolean", "text"): _plainly,
    ("boolean", "integer"): _plainly,
    ("date", "date"): _same,
    ("local", "date"): _plainly,
    ("local", "datetime"): _same,
    ("instant", "date"): _locally,
    ("instant", "datetime"): _locally,
    ("time", "time"): _same,
}
