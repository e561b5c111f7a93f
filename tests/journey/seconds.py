"""Those who read beside the storm: the product in windows of a second or two, and the two usual rules.

The windows are too short for a declared grid, so this grid takes its place; everything else is the product's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event

import psycopg
import pytest

from assets.windows import Window
from tests.journey.trial import Trial

POLL_SECONDS = 0.05
NAIVE_TIME = b"SELECT id, updated_at FROM storm WHERE updated_at > %s ORDER BY updated_at"
NAIVE_ID = b"SELECT id, id FROM storm WHERE id > %s ORDER BY id"


@dataclass(frozen=True)
class Seconds:
    """Windows of `length` from `start` on; keys are their numbers, and sort in the order of time."""

    start: datetime
    length: timedelta = timedelta(seconds=1)
    fingerprint: str = "seconds UTC"

    @property
    def first(self) -> Window:
        """The first window."""
        return self.window("000000")

    def window(self, key: str) -> Window:
        """The window of a key."""
        low = self.start + int(key) * self.length
        return Window(key, low, low + self.length)

    def newest(self, until: datetime) -> str | None:
        """The last key whose window has ended."""
        return max(self.keys(0, until), default=None)

    def keys(self, first: int, until: datetime) -> list[str]:
        """The keys from number `first` on whose windows have ended by `until`."""
        return [f"{number:06d}" for number in range(first, int((until - self.start) / self.length))]


def put(patch: pytest.MonkeyPatch, grids: Mapping[str, Seconds]) -> None:
    """Let these grids, by the kind of the export's cursor, take the place of what is declared."""
    for place in ("assets.journey.grid_of", "pipelines.project.grid_of"):
        patch.setattr(place, lambda export: grids[export.source.cursor.by])


def follow(trial: Trial, grid: Seconds, over: Event) -> list[str]:
    """Deliver each window as soon as it has ended, to the one in which it was over; the words of their receipts."""
    words: list[str] = []
    end: datetime | None = None
    while end is None or grid.start + len(words) * grid.length <= end:
        end = end or (datetime.now(UTC) if over.is_set() else None)
        with trial.journey() as journey:
            for outcome in journey.run(grid.keys(len(words), datetime.now(UTC))):
                assert outcome.good, outcome.detail
                assert outcome.record
                assert outcome.record.horizon
                words.append(str(outcome.record.horizon["kind"]))
        over.wait(POLL_SECONDS)
    return words


def naive(url: str, query: bytes, last: datetime | int, over: Event) -> list[int]:
    """Poll `cursor > last ORDER BY cursor` and remember the last cursor seen: the ids that this finds."""
    found: list[int] = []
    with psycopg.connect(url, autocommit=True) as session:
        while True:
            final = over.is_set()
            rows = session.execute(query, [last]).fetchall()
            found += [number for number, _ in rows]
            last = rows[-1][1] if rows else last
            if final:
                return found
            over.wait(POLL_SECONDS)
