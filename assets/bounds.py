"""A window's edges as values of the cursor column: the one place where instants become what a column holds.

A column with a zone compares instants. One without holds the local time of a declared zone, which repeats itself for an
hour a year: both passes of such an hour belong to the windows of the second, so that a window is never closed before
the last row that can fall into it. A date belongs to the day of the export's own zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlglot import exp

from assets.windows import Window
from resources.databases.base import Column
from spec.errors import DeclarationError
from spec.reading import Declared
from spec.source import IdCursor, TimeCursor


def bound(column: Column, instant: datetime, declared: Declared) -> exp.Expr:
    """The literal to compare a time cursor with. Raises DeclarationError for a column that cannot be a time cursor."""
    cursor = declared.export.source.cursor
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz:
        return _literal(instant.astimezone(UTC).isoformat(sep=" "), "timestamptz")
    if pa.types.is_date(kind):
        return _literal(_day(instant, declared).isoformat(), "date")
    if pa.types.is_timestamp(kind) and isinstance(cursor, TimeCursor) and cursor.timezone:
        return _literal(naive(instant, ZoneInfo(cursor.timezone)).isoformat(sep=" "), "timestamp")
    place = declared.where("source", "cursor", "column")
    if pa.types.is_timestamp(kind):
        raise DeclarationError(
            f"{place}: cursor {column.name!r} is {column.declared}, which has no time zone; "
            "say in which zone its values are, such as `timezone: UTC` in `cursor:`"
        )
    raise DeclarationError(
        f"{place}: cursor {column.name!r} is {column.declared}; `by: time` needs a date or timestamp column "
        "(for a whole number use `by: id`)"
    )


def before(column: Column, instant: datetime) -> datetime:
    """An instant of which `>` keeps everything that `>=` keeps of this one: a day or a microsecond earlier."""
    return instant - (timedelta(days=1) if pa.types.is_date(column.type) else timedelta(microseconds=1))


def _literal(text: str, kind: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), kind)


def _day(instant: datetime, declared: Declared) -> date:
    local = instant.astimezone(ZoneInfo(declared.export.partitions.timezone))
    if declared.export.partitions.cadence not in {"day", "week", "month"}:
        place = declared.where("source", "cursor", "column")
        raise DeclarationError(f"{place}: a date column cannot tell windows shorter than a day apart; use `every: day`")
    # A day whose midnight does not exist begins later, but it is still that day.
    return local.date()


def naive(instant: datetime, zone: ZoneInfo) -> datetime:
    """The local time in `zone` from which rows belong to what follows `instant`; never decreasing."""
    local = instant.astimezone(zone)
    wall = local.replace(tzinfo=None)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if local.fold == 1 or second <= instant:
        return wall
    return _repeat_begins(instant.astimezone(UTC), second, zone)


def _repeat_begins(first: datetime, second: datetime, zone: ZoneInfo) -> datetime:
    """The wall time at which a repeated stretch begins, the change of offset lying between the two instants."""
    before = first.astimezone(zone).utcoffset()
    while second - first > timedelta(microseconds=1):
        middle = first + (second - first) / 2
        first, second = (middle, second) if middle.astimezone(zone).utcoffset() == before else (first, middle)
    return second.astimezone(zone).replace(tzinfo=None)


def inside(column: Column, window: Window, declared: Declared) -> list[exp.Expr]:
    """The conditions of a time window: `lo <= cursor` and `cursor < hi`."""
    cursor = exp.column(column.name, quoted=True)
    low, high = bound(column, window.lo, declared), bound(column, window.hi, declared)
    return [exp.GTE(this=cursor, expression=low), exp.LT(this=cursor.copy(), expression=high)]


def refuse_other_ids(column: Column, declared: Declared) -> None:
    """Raise DeclarationError for a cursor by id that has no whole numbers: its ranges would leave rows out."""
    whole = pa.types.is_integer(column.type) or (pa.types.is_decimal(column.type) and column.type.scale == 0)
    if isinstance(declared.export.source.cursor, IdCursor) and not whole:
        raise DeclarationError(
            f"{declared.where('source', 'cursor', 'column')}: cursor {column.name!r} is {column.declared}; `by: id` "
            "needs a column of whole numbers that is not in `as_text` (for a date or timestamp use `by: time`)"
        )


def between_ids(column: Column, low: int | None, high: int) -> list[exp.Expr]:
    """The conditions of an id window: `low < id` (when there is a low) and `id <= high`."""
    cursor = exp.column(column.name, quoted=True)
    upper: exp.Expr = exp.LTE(this=cursor, expression=exp.convert(high))
    return [upper] if low is None else [exp.GT(this=cursor.copy(), expression=exp.convert(low)), upper]
