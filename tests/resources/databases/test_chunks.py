"""Rows in chunks that fit, and moments of a server's local time: what drivers of tuples share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from resources.databases.chunks import CHUNK_BYTES, MOST_ROWS, Row, by_column, chunks
from resources.databases.local_time import earliest

HOUR = timedelta(hours=1)


def fetching(count: int, value: str) -> Callable[[int], Sequence[Row]]:
    """What a driver's `fetchmany` does with `count` rows of one text."""
    rows = iter([(number, value) for number in range(count)])
    return lambda size: list(islice(rows, size))


def test_every_row_comes_once_and_in_order() -> None:
    """Chunks leave nothing out, whatever their sizes."""
    found = [row[0] for rows in chunks(fetching(100_000, "x")) for row in rows]
    assert found == list(range(100_000))


@pytest.mark.parametrize("length", [1, 1_000, 100_000, CHUNK_BYTES])
def test_a_chunk_is_bounded(length: int) -> None:
    """After the first few rows, no chunk holds more than its bytes or its rows."""
    sizes = [
        len(rows) for rows in chunks(fetching(60, "x" * length) if length > 1_000 else fetching(50_000, "x" * length))
    ]
    assert all(size == 1 or size * length <= CHUNK_BYTES for size in sizes[1:])
    assert max(sizes) <= MOST_ROWS


def test_no_rows() -> None:
    """Nothing fetched is no chunk."""
    assert list(chunks(fetching(0, "x"))) == []


def test_columns_of_rows() -> None:
    """Rows turn into columns, NULL and '' apart."""
    assert by_column([(1, ""), (2, None)]) == [[1, 2], ["", None]]


def test_local_time_far_from_a_change() -> None:
    """Where no clock of the world was set back, the server's offset is all there is to it."""
    clock = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert earliest(datetime(2026, 7, 1, 13, 50), clock, 2 * HOUR) == datetime(2026, 7, 1, 11, 50, tzinfo=UTC)  # noqa: DTZ001


def test_local_time_before_the_clock_was_set_back() -> None:
    """In Paris, 02:30 in the night of 2026-10-25 comes twice, and a transaction of 01:50 began in summer time."""
    clock, now = datetime(2026, 10, 25, 1, 40, tzinfo=UTC), HOUR
    assert earliest(datetime(2026, 10, 25, 2, 30), clock, now) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # noqa: DTZ001
    assert earliest(datetime(2026, 10, 25, 1, 50), clock, now) <= datetime(2026, 10, 24, 23, 50, tzinfo=UTC)  # noqa: DTZ001


def test_control_the_offset_of_now_would_be_an_hour_late() -> None:
    """The control: by the present offset alone, that transaction would seem to begin an hour after it did."""
    local, began = datetime(2026, 10, 25, 1, 50), datetime(2026, 10, 24, 23, 50, tzinfo=UTC)  # noqa: DTZ001
    assert (local - HOUR).replace(tzinfo=UTC) - began == HOUR
