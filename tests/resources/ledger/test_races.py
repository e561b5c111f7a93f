"""Real processes against one ledger: one of them gets the window, the quota is never overshot, a kill loses nothing."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path

import pytest

from resources import ledger as package
from resources.ledger import Lease, Ledger, Window
from spec.errors import LeaseLost
from tests.resources.ledger.conftest import Place
from tests.resources.ledger.rivals import killed_at, race
from tests.resources.ledger.windows import LONG, NAMES, OVER, done, part, spec

SOURCES = "".join(file.read_text() for file in Path(package.__path__[0]).glob("*.py"))
POINTS = sorted(set(re.findall(r'reach\("([^"]+)"\)', SOURCES)))


def test_of_eight_rivals_one_gets_the_window(ledger: Ledger, place: Place) -> None:
    """The window is not even planned before the race; seven are told that it is busy."""
    found = race(place, 8, lambda mine, number: mine.acquire(spec(), f"w{number}", LONG))
    winners = [one.lease for one in found if one.lease is not None]
    assert [one.fence for one in winners] == [1]
    assert sum("has events/2024-01-01 generation 1 until" in one.busy for one in found) == 7
    assert len(ledger.history()) == 1


def test_of_eight_rivals_one_publishes(ledger: Ledger, place: Place) -> None:
    """With leases that end at once everybody gets one, and still the journey is made once and to the end.

    Who lost the lease comes back later and later: without that, none of them ever gets to the end.
    """

    def attempt(mine: Ledger, number: int) -> str:
        for turn in range(200):
            time.sleep(random.random() * turn / 50)
            acquired = mine.acquire(spec(), f"w{number}", OVER)
            if acquired.lease is None:
                return acquired.window.state
            try:
                journey(mine, acquired.window, acquired.lease)
            except LeaseLost:
                continue
        return "never done"

    assert race(place, 4, attempt) == ["done"] * 4
    published = [str(one.delivery) for one in ledger.events("events") if one.what == "published"]
    assert sorted(published) == list(NAMES)
    assert [one.generation for one in ledger.history()] == [1]


def test_of_eight_runs_again_each_makes_one_generation(ledger: Ledger, place: Place) -> None:
    """Retries of one root run meet in one generation."""
    done(ledger)
    race(place, 8, lambda mine, number: mine.acquire(spec(), f"w{number}", LONG, again="run-a").window.generation)
    assert [one.generation for one in ledger.history()] == [1, 2]


def test_eight_processes_never_overshoot_the_quota(ledger: Ledger, place: Place) -> None:
    """They ask for more than there is, unit by unit and in handfuls, and get exactly what there is."""

    def take(mine: Ledger, number: int) -> int:
        return sum(
            7 * mine.reserve("api", "2024-01", "rows", 2000, 7, f"{number}-{turn}", window_id=None, charge="read")
            for turn in range(50)
        )

    assert sum(race(place, 8, take)) == 1995
    assert (ledger.quota()[0].reserved, ledger.quota()[0].committed) == (1995, 0)


def test_eight_processes_with_one_key_take_once(ledger: Ledger, place: Place) -> None:
    """A reservation is known by its key: everybody is told yes, and it is counted once."""
    found = race(
        place,
        8,
        lambda mine, _: mine.reserve("api", "2024-01", "rows", 10, 10, "k", window_id=None, charge="read"),
    )
    assert found == [True] * 8
    assert ledger.quota()[0].reserved == 10


def test_of_eight_rivals_one_holds_the_exports_lock(ledger: Ledger, place: Place) -> None:
    """Under the lock everybody reads the last id and fixes the next range: they touch and never overlap."""

    def fix(mine: Ledger, number: int) -> int:
        lease = mine.acquire(spec(f"2024-01-{number + 1:02}"), f"w{number}", LONG).lease
        assert lease is not None
        with mine.export_lock("events", f"w{number}", LONG):
            at = mine.last_id("events", lease.partition)
            low = at.low or 0
            mine.fix_ids(lease, low, low if at.skipped else low + 10)
        return number

    assert sorted(race(place, 8, fix)) == list(range(8))
    ranges = [(one.low_id, one.high_id) for one in ledger.windows("events", newest_first=False)]
    taken = [one for one in ranges if one[0] != one[1]]
    assert taken == [(10 * number, 10 * number + 10) for number in range(len(taken))]


def journey(ledger: Ledger, window: Window, lease: Lease) -> None:
    """Drive a window to done from whatever it has reached."""
    ledger.reserve("api", "2024-01", "rows", 100, 10, "k", window_id=window.id, charge="delivery")
    if window.high_id is None:
        ledger.fix_ids(lease, None, 100)
    if window.reached == "planned":
        parts = [part(name) for name in NAMES]
        ledger.seal(lease, horizon={}, fingerprint="f", server="s", rows=10, artifacts=parts)
    for name, reached in ((one.name, one.reached) for one in window.deliveries):
        if reached in {"planned", "sealed"}:
            ledger.uploaded(lease, name, {("part", 0): f"t{lease.fence}"})
        if reached in {"planned", "sealed", "uploaded"}:
            ledger.publishing(lease, name, "part", 0)
            ledger.published(lease, name)
        if reached != "done":
            ledger.close(lease, name, {"rows": 10})


def attempt(ledger: Ledger) -> None:
    """Take the window, whoever had it before, and drive it on."""
    acquired = ledger.acquire(spec(), "worker", LONG)
    if acquired.lease is not None:
        journey(ledger, acquired.window, acquired.lease)


def test_the_points_are_where_they_should_be() -> None:
    """Each durable step can be killed before and after its commit, and between commit and mirror."""
    steps = ("acquire", "close", "fix_ids", "published", "publishing", "seal", "uploaded")
    assert (
        sorted([*(f"ledger.{one}.{when}" for one in steps for when in ("before", "after")), "ledger.mirror"]) == POINTS
    )


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_loses_nothing_and_doubles_nothing(ledger: Ledger, place: Place, point: str) -> None:
    """The next process ends what was killed there: one generation, each step once, quota and mirror exact."""
    assert killed_at(place, point, attempt)
    again = place.open()
    attempt(again)
    again.close()
    (window,) = ledger.history()
    assert (window.state, window.generation, window.high_id) == ("done", 1, 100)
    told = [(one.what, one.delivery) for one in ledger.events("events") if one.what != "leased"]
    once = [(step, name) for name in NAMES for step in ("uploaded", "published", "done")]
    assert told == [("ids_fixed", None), ("sealed", None), *once]
    assert (ledger.quota()[0].reserved, ledger.quota()[0].committed) == (0, 10)
    with ledger.read() as conn:
        sequence = conn.exec_driver_sql("SELECT sequence FROM ledger").scalar()
    assert json.loads((place.spool / "ledger.json").read_text())["sequence"] == sequence
