"""A partition key's window: half-open UTC instants, made from the naive local labels of a grid in a time zone.

Pure arithmetic over the zone database: no clock, no Dagster (which gives two keys one window where a zone skipped a
day), no rows. Which labels a grid has is said by cadence.py, what a window reads by the extract.

A boundary is the first instant at which the local clock has reached its label. So a label inside a gap is the gap's
end, a label that occurs twice is its first occurrence, and boundaries never run backwards. Hours, and cron expressions
of every hour, follow the clock instead: a time that never came begins nothing, one that comes twice begins two windows,
and the second's key carries the offset. Keys are written as Dagster 1.13 writes them, and sort as text in time order
except in the hours that a clock repeats, where several windows of a grid may lie in them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from assets.cadence import DAY, Cadence, cadence
from spec.errors import DeclarationError

YEARS: Final = range(1900, 2200)
DAGSTER_MOVES: Final = range(1, 4)


@dataclass(frozen=True)
class Window:
    """The rows of `key` are those with `lo <= t < hi`; both are aware and in UTC."""

    key: str
    lo: datetime
    hi: datetime

    @property
    def empty(self) -> bool:
        """Whether no instant lies in it: its day never existed in the zone."""
        return self.lo >= self.hi

    @property
    def length(self) -> timedelta:
        """How long it lasts in elapsed time, as a clock in UTC shows it."""
        return self.hi - self.lo


class Edge(NamedTuple):
    """Where a window begins. Tuples sort in time order, labels of one instant in their own."""

    instant: datetime
    label: datetime
    key: str


@dataclass(frozen=True)
class Grid:
    """The windows of `every` ("hour", "day", "week", "month" or cron) whose labels are `start` (naive local) or later.

    Raises DeclarationError for a cadence or zone that does not exist and for a `start` that carries an offset.
    """

    every: str
    start: date
    zone: str = "UTC"

    def __post_init__(self) -> None:
        cadence(self.every)
        _zone(self.zone)
        if isinstance(self.start, datetime) and self.start.tzinfo:
            raise DeclarationError(f"the grid's start {self.start} carries an offset; write local time in {self.zone}")

    @property
    def fingerprint(self) -> str:
        """Cadence and zone. Two grids of one fingerprint give a key the same window, whatever their starts."""
        return f"{self.every} {self.zone}"

    @property
    def first(self) -> Window:
        """The window that the grid begins with: its label is `start` or the next one after it."""
        edges = _near(self.every, self.zone, self._first.label.date())
        return self.window(edges[bisect_left(edges, self._first)].key)

    def window(self, key: str) -> Window:
        """The window of a key, also of one before the start. DeclarationError where the grid has no such key."""
        edges = _near(self.every, self.zone, self._day(key))
        at = next((at for at, edge in enumerate(edges) if edge.key == key), None)
        if at is None:
            raise self._unknown(key)
        return Window(key, edges[at].instant, edges[at + 1].instant)

    def keys(self, until: datetime) -> list[str]:
        """The keys whose windows have ended by the aware instant `until`, in time order."""
        last = _local(until, self.zone).date() + DAY
        edges = _span(self.every, self.zone, self._first.label.date() - DAY, last)
        first, ended = bisect_left(edges, self._first), _begun(edges, until) - 1
        return [edge.key for edge in edges[first : max(first, ended)]]

    def newest(self, until: datetime) -> str | None:
        """The last of `keys(until)`, found without the others; None where there is none."""
        edges = _near(self.every, self.zone, _local(until, self.zone).date())
        last = edges[_begun(edges, until) - 2]
        return last.key if last >= self._first else None

    def between(self, first: str, last: str) -> list[str]:
        """The keys from `first` to `last`, both inclusive, whether or not their windows have ended.

        Raises DeclarationError for a key that the grid does not have or that is before its start, and for a `first`
        that is after `last`.
        """
        low, high = (self._edge(key) for key in (first, last))
        if low > high:
            raise DeclarationError(f"partition {first!r} is after {last!r}; give the earlier one first")
        edges = _span(self.every, self.zone, low.label.date() - DAY, high.label.date() + DAY)
        return [edge.key for edge in edges if low <= edge <= high]

    def holding(self, moment: datetime) -> str:
        """The key of the one window that the aware instant `moment` lies in, also before the start."""
        edges = _near(self.every, self.zone, _local(moment, self.zone).date())
        return edges[_begun(edges, moment) - 1].key

    @cached_property
    def _first(self) -> Edge:
        """An edge just before or at the first one of the grid: no key sorts before the empty text."""
        label = self.start if isinstance(self.start, datetime) else datetime.combine(self.start, time(0))
        return Edge(instant(label, _zone(self.zone)), label, "")

    def _edge(self, key: str) -> Edge:
        edge = next((edge for edge in _near(self.every, self.zone, self._day(key)) if edge.key == key), None)
        if edge is None:
            raise self._unknown(key)
        if edge < self._first:
            raise DeclarationError(f"partition {key!r} is before the first one, {self.first.key!r}")
        return edge

    def _day(self, key: str) -> date:
        try:
            return _label(key).date()
        except ValueError:
            raise self._unknown(key) from None

    def _unknown(self, key: str) -> DeclarationError:
        try:
            moment = instant(_label(key), _zone(self.zone))
        except ValueError:
            holder = ""
        else:
            holder = f"; that moment lies in {self.holding(moment)!r}"
        return DeclarationError(
            f"{key!r} is no partition of the grid {self.fingerprint!r}{holder}; keys look like "
            f"{cadence(self.every).looks}, and the first is {self.first.key!r}"
        )


def instant(label: datetime, zone: ZoneInfo, *, second: bool = False) -> datetime:
    """The first instant, in UTC, at which the clock of `zone` has reached the naive `label`: monotonic in `label`.

    `second` asks for the later occurrence of a label that occurs twice; for any other it changes nothing.
    """
    early, late = _readings(label, zone)
    if early > late:
        return _gap_end(label, late, early, zone)
    return late if second else early


def _label(key: str) -> datetime:
    """The naive time that a key begins with; ValueError for another text, and for years that no zone is known for."""
    label = datetime.strptime(f"{key}-00:00"[:16], "%Y-%m-%d-%H:%M")  # noqa: DTZ007  (labels are naive)
    if label.year not in YEARS:
        raise ValueError(f"{key!r} is in no year that windows are made for")
    return label


def _readings(label: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The label read with the offsets before and after a transition: equal far from one, falling inside a gap."""
    early, late = (label.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return early, late


def _gap_end(label: datetime, before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The transition between two instants, to the second: transitions are whole seconds in the zone database."""
    before = before.replace(microsecond=0)
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        reached = (before + timedelta(seconds=middle)).astimezone(zone).replace(tzinfo=None) >= label
        low, high = (low, middle) if reached else (middle, high)
    return before + timedelta(seconds=high)


@lru_cache(maxsize=16)
def _near(every: str, zone: str, day: date) -> list[Edge]:
    """The edges of a few days of the grid on both sides of `day`: enough for the window before, of and after it."""
    rule = cadence(every)
    return _edges(rule, _zone(zone), rule.back(day), rule.ahead(day))


@lru_cache(maxsize=4)
def _span(every: str, zone: str, first: date, last: date) -> list[Edge]:
    """The edges of many days. Callers share the lists of this and of `_near`, and never change them."""
    return _edges(cadence(every), _zone(zone), first, last)


def _edges(rule: Cadence, place: ZoneInfo, first: date, last: date) -> list[Edge]:
    """The edges of the labels of some days, in time order."""
    edges = sorted(edge for day in rule.dates(first, last) for edge in _day_edges(day, rule, place))
    return [edge for edge, _ in groupby(edges)]


def _day_edges(day: date, rule: Cadence, zone: ZoneInfo) -> Iterator[Edge]:
    """The edges of one day: at once where both readings of a label agree, which is nearly always."""
    mark = _followed if rule.repeats else _moved
    for moment, again in rule.times:
        label = datetime.combine(day, moment)
        if zone.utcoffset(label) == zone.utcoffset(datetime.combine(day, again)):
            yield Edge(datetime.combine(day, moment, zone).astimezone(UTC), label, rule.key(label))
        else:
            yield from mark(label, zone, rule)


def _followed(label: datetime, zone: ZoneInfo, rule: Cadence) -> tuple[Edge, ...]:
    """The edges of a label that occurs twice on the clock, or never: two or none."""
    early, late = _readings(label, zone)
    key = rule.key(label)
    again = key + late.astimezone(zone).strftime("%z")
    return () if early > late else (Edge(early, label, key), Edge(late, label, again))


def _moved(label: datetime, zone: ZoneInfo, rule: Cadence) -> tuple[Edge, ...]:
    """The one edge of a label. Dagster writes a label in a gap as the gap's end, but only in those hours."""
    at = instant(label, zone)
    if rule.timed and label.hour in DAGSTER_MOVES:
        label = max(label, at.astimezone(zone).replace(tzinfo=None))
    return (Edge(at, label, rule.key(label)),)


def _begun(edges: list[Edge], moment: datetime) -> int:
    """How many of the edges are at `moment` or before."""
    return bisect_right(edges, moment, key=attrgetter("instant"))


def _local(moment: datetime, zone: str) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} is naive; a window needs an aware instant")
    return moment.astimezone(_zone(zone))


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DeclarationError(
            f"{name!r} is no time zone; allowed are the names of the IANA time zone database, such as 'Europe/Paris'"
        ) from None
