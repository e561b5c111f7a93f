"""How often a grid begins a window: the days of a cadence and the times of each day, as naive local labels.

No zone and no instant belongs here (windows.py), and croniter is imported only for a cron expression.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from spec.errors import DeclarationError

if TYPE_CHECKING:
    from croniter import croniter

DAY: Final = timedelta(days=1)
MARGIN: Final = 3
CRON_FIELDS: Final = 5


@dataclass(frozen=True)
class Cadence:
    """The labels of a grid.

    `days(day)` are its days from `day` on, in order; `back(day)` and `ahead(day)` are days far enough off for MARGIN of
    its days to lie between. `times` are those of each day, as first and second occurrence. `timed` says whether keys
    carry the time, `repeats` whether a local time that occurs twice begins two windows and one that never occurs none.
    `looks` completes the sentence "keys look like ...".
    """

    days: Callable[[date], Iterator[date]]
    back: Callable[[date], date]
    ahead: Callable[[date], date]
    times: tuple[tuple[time, time], ...]
    timed: bool
    repeats: bool
    looks: str

    def dates(self, first: date, last: date) -> Iterator[date]:
        """The days from `first` to `last`, both inclusive, that the cadence has labels on."""
        return takewhile(lambda day: day <= last, self.days(first))

    def key(self, label: datetime) -> str:
        """The label as Dagster writes it: `2024-01-31`, with the time `2024-01-31-14:00`."""
        return label.isoformat("-", "minutes") if self.timed else label.date().isoformat()


@lru_cache(maxsize=64)
def cadence(every: str) -> Cadence:
    """The cadence of `hour`, `day`, `week`, `month` or a cron expression of five fields.

    Raises DeclarationError for anything else, and for a cron expression that never comes due.
    """
    return PLAIN[every] if every in PLAIN else _cron(every)


def _plain(days: Callable[[date], Iterator[date]], span: int, looks: str, hours: int = 1) -> Cadence:
    reach = timedelta(days=span * MARGIN)
    times, hourly = _times(range(hours), [0]), hours > 1
    back, ahead = (lambda day: day - reach), (lambda day: day + reach)
    return Cadence(days, back, ahead, times, timed=hourly, repeats=hourly, looks=looks)


def _times(hours: Iterable[int], minutes: Collection[int]) -> tuple[tuple[time, time], ...]:
    return tuple((time(hour, minute), time(hour, minute, fold=1)) for hour in hours for minute in minutes)


def _every_day(day: date) -> Iterator[date]:
    while True:
        yield day
        day += DAY


def _mondays(day: date) -> Iterator[date]:
    day += -day.weekday() % 7 * DAY
    while True:
        yield day
        day += 7 * DAY


def _firsts(day: date) -> Iterator[date]:
    month = day.year * 12 + day.month - (day.day == 1)
    while True:
        yield date(month // 12, month % 12 + 1, 1)
        month += 1


PLAIN: Final = {
    "hour": _plain(_every_day, 1, "'2024-01-31-14:00', a full local hour", hours=24),
    "day": _plain(_every_day, 1, "'2024-01-31'"),
    "week": _plain(_mondays, 7, "'2024-01-29', a Monday"),
    "month": _plain(_firsts, 31, "'2024-01-01', the first of a month"),
}


def _cron(every: str) -> Cadence:
    from croniter import croniter

    if len(every.split()) != CRON_FIELDS or not croniter.is_valid(every):
        raise DeclarationError(
            f"{every!r} is no cadence; allowed: {', '.join(PLAIN)}, or a cron expression of five fields, "
            "such as '0 6,18 * * *'"
        )
    (minutes, hours, *_), _ = croniter.expand(every)
    days = _CronDays(croniter, " ".join(["0", "0", *every.split()[2:]]))
    times = _times(_all(hours, 24), _all(minutes, 60))
    looks = f"'2024-01-31-{times[0][0]:%H:%M}', an instant of the cron expression"
    return Cadence(days, days.back, days.ahead, times, timed=True, repeats=hours == ["*"], looks=looks)


def _all(field: list[int | str], size: int) -> list[int]:
    return sorted({int(value) for value in field}) if field != ["*"] else list(range(size))


class _CronDays:
    """The days of a cron expression whose time of day was replaced by midnight."""

    def __init__(self, iterate: type[croniter], expression: str) -> None:
        self._iterate, self._expression = iterate, expression
        try:
            self.ahead(date(2024, 1, 1))
        except ValueError as error:
            raise DeclarationError(f"the days of the cron expression {expression!r} never come: {error}") from None

    def __call__(self, day: date) -> Iterator[date]:
        if self._expression == "0 0 * * *":
            yield from _every_day(day)
        eve = datetime.combine(day, time(0)) - timedelta(seconds=1)
        for moment in self._iterate(self._expression, eve).all_next(datetime):
            yield moment.date()

    def back(self, day: date) -> date:
        moments = self._iterate(self._expression, datetime.combine(day, time(0)))
        steps: list[datetime] = [moments.get_prev(datetime) for _ in range(MARGIN)]
        return steps[-1].date()

    def ahead(self, day: date) -> date:
        moments = self._iterate(self._expression, datetime.combine(day, time(0)))
        steps: list[datetime] = [moments.get_next(datetime) for _ in range(MARGIN)]
        return steps[-1].date()
