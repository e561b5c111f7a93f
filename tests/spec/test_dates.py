"""`date:` expressions seen from moments whose answer is known, on days when clocks change, and at the ends of time."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.dates import evaluate, parse
from spec.errors import DeclarationError
from spec.filters import Filters, dates_of
from tests.spec.columns import PARIS, declare, shaped

THURSDAY = datetime(2026, 3, 5, 14, 30, 15, 5, tzinfo=PARIS)
KNOWN = {
    "": "2026-03-05 14:30:15.000005",
    "now": "2026-03-05 14:30:15.000005",
    "today": "2026-03-05 00:00:00",
    "yesterday": "2026-03-04 00:00:00",
    "tomorrow": "2026-03-06 00:00:00",
    "-30 days": "2026-02-03 14:30:15.000005",
    "+ 2 hours": "2026-03-05 16:30:15.000005",
    "today -7 days": "2026-02-26 00:00:00",
    "today +1 week -1 minute": "2026-03-11 23:59:00",
    "now -1 month": "2026-02-05 14:30:15.000005",
    "today +1 year": "2027-03-05 00:00:00",
    "monday this week": "2026-03-02 00:00:00",
    "thursday this week": "2026-03-05 00:00:00",
    "sunday this week": "2026-03-08 00:00:00",
    "monday last week": "2026-02-23 00:00:00",
    "Friday Next Week": "2026-03-13 00:00:00",
    "first day of this month": "2026-03-01 00:00:00",
    "last day of this month": "2026-03-31 00:00:00",
    "first day of last month": "2026-02-01 00:00:00",
    "last day of last month": "2026-02-28 00:00:00",
    "last day of next month": "2026-04-30 00:00:00",
    "first day of january this year": "2026-01-01 00:00:00",
    "last day of february next year": "2027-02-28 00:00:00",
    "first day of december last year": "2025-12-01 00:00:00",
    "first day of january this year -1 day +2 hours": "2025-12-31 02:00:00",
}


@pytest.mark.parametrize(("text", "wall"), KNOWN.items())
def test_an_expression_is_a_local_time(text: str, wall: str) -> None:
    """Seen from a Thursday afternoon in Paris."""
    assert evaluate(f"date:{text}", THURSDAY.astimezone(UTC), "Europe/Paris").replace(
        tzinfo=None
    ) == datetime.fromisoformat(wall)


CLOCKS = [
    ("Europe/Paris", "2026-03-29T12:00Z", "today", "2026-03-28T23:00Z"),
    ("Europe/Paris", "2026-03-29T12:00Z", "today +2 hours", "2026-03-29T01:00Z"),
    ("Europe/Paris", "2026-03-29T12:00Z", "today +3 hours", "2026-03-29T02:00Z"),
    ("Europe/Paris", "2026-03-30T00:30Z", "-1 day", "2026-03-29T01:30Z"),
    ("Europe/Paris", "2026-03-29T12:00Z", "tomorrow", "2026-03-29T22:00Z"),
    ("Europe/Paris", "2025-10-26T01:30Z", "now", "2025-10-26T01:30Z"),
    ("Europe/Paris", "2025-10-26T01:30Z", "-1 hour", "2025-10-26T00:30Z"),
    ("Europe/Paris", "2025-10-27T01:30Z", "-1 day", "2025-10-26T00:30Z"),
    ("Europe/Paris", "2025-10-26T12:00Z", "tomorrow -1 hour", "2025-10-26T22:00Z"),
    ("America/Sao_Paulo", "2018-11-04T12:00Z", "today", "2018-11-04T03:00Z"),
    ("America/Havana", "2025-11-02T12:00Z", "today", "2025-11-02T04:00Z"),
    ("Asia/Kathmandu", "2026-03-05T00:00Z", "today", "2026-03-04T18:15Z"),
]


@pytest.mark.parametrize(("zone", "now", "text", "instant"), CLOCKS)
def test_days_when_clocks_change(zone: str, now: str, text: str, instant: str) -> None:
    """Hours are elapsed time, days keep the clock; a skipped time is later, a repeated one the first; now is now."""
    found = evaluate(f"date:{text}", datetime.fromisoformat(now), zone)
    assert found.astimezone(UTC) == datetime.fromisoformat(instant)


@settings(max_examples=150, deadline=None)
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]),
)
def test_days_are_where_a_calendar_has_them(now: datetime, zone: str) -> None:
    """Each day word by what is true of the day that it names."""

    def this(text: str) -> date:
        return evaluate(f"date:{text}", now, zone).date()

    today = now.astimezone(ZoneInfo(zone)).date()
    assert evaluate("date:", now, zone).astimezone(UTC) == now
    assert [this(each) - today for each in ("yesterday", "today", "tomorrow")] == [
        timedelta(days) for days in (-1, 0, 1)
    ]
    monday, first, last = this("monday this week"), this("first day of this month"), this("last day of this month")
    assert (monday.weekday(), timedelta(0) <= today - monday < timedelta(7)) == (0, True)
    assert (first.day, (last + timedelta(1)).day, first <= today <= last) == (1, 1, True)
    assert last.month == first.month == today.month
    assert this("first day of next month") == last + timedelta(1)
    assert this("last day of last month") == first - timedelta(1)
    assert this("monday next week") - monday == timedelta(7)
    assert this("first day of january this year").isoformat() == f"{today.year:04d}-01-01"
    assert this("last day of december last year").isoformat() == f"{today.year - 1:04d}-12-31"


WRONG = [
    "yesterdy",
    "30 dys",
    "-1 fortnight",
    "first monday of this month",
    "monday",
    "today tomorrow",
    "-100000 days",
    "--1 day",
    "todayish",
    "-1 dayss",
    "1e3 days",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_none_is_refused_with_what_is(text: str) -> None:
    """The allowed forms are said."""
    with pytest.raises(ValueError, match=re.escape("is not a date expression; write date: and now, today")):
        parse(f"date:{text}")


def test_the_ends_of_time_and_of_patience() -> None:
    """A moment that there is not, and a text that is too long; at the window's end as well as at check."""
    for text in ("-99999 years", "+9000 years", "-99999 months -99999 months"):
        with pytest.raises(ValueError, match="leaves the years 1 to 9999"):
            parse(f"date:{text}")
    with pytest.raises(ValueError, match="leaves the years 1 to 9999"):
        evaluate("date:+7990 years", THURSDAY, "Europe/Paris")
    with pytest.raises(ValueError, match="more than 200 characters"):
        parse("date:" + "-1 day " * 40)


def test_a_pattern_makes_text_for_columns_of_text() -> None:
    """And only for them; text without one, and a wrong one, are refused."""
    condition = {"field": "c", "is": "equals", "value": "date:yesterday|yyyyMMdd"}
    rows = ["20260228", "20260301", "date:yesterday"]
    declared = declare(filters={"any": [{"all": [condition]}]})
    assert shaped(declared, c=(pa.string(), rows)) == [("20260228",)]
    with pytest.raises(DeclarationError, match="only text has a pattern"):
        shaped(declared, c=(pa.date32(), []))
    with pytest.raises(DeclarationError, match="text wants a pattern behind it"):
        shaped(declare(filters={"any": [{"all": [condition | {"value": "date:yesterday"}]}]}), c=(pa.string(), []))
    with pytest.raises(DeclarationError, match="the month is MM"):
        declare(filters={"any": [{"all": [condition | {"value": "date:yesterday|yyyy-mm"}]}]})


def test_a_receipt_has_each_expression_once() -> None:
    """With the instant that it meant, in the zone of the windows."""
    said = [
        {"field": "a", "is": "between", "value": ["date:yesterday", "date:now"]},
        {"field": "b", "is": "after", "value": "date:now"},
    ]
    filters = Filters.model_validate({"any": [{"all": said}]})
    assert dates_of(filters, datetime(2026, 3, 1, 12, tzinfo=UTC), "Europe/Paris") == {
        "date:yesterday": "2026-02-28T00:00:00+01:00", "date:now": "2026-03-01T13:00:00+01:00",
    }  # fmt: skip
    assert dates_of(None, THURSDAY, "UTC") == {}
