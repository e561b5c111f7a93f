"""Who comes in between while late rows are carried: kill -9 at every point, and rivals that want the same rows.

What a run carries when nobody comes in between is in test_carry.py.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from resources import failpoint
from resources.ledger import carrying
from tests.journey.sources import Source, once
from tests.journey.test_carry import ONE, THREE, TWO, duckdb, late, row

__all__ = ["duckdb"]

PROVE = os.environ.get("OUTGATE_PROVE") == "1"
POINTS, PAIRS = (100, 100) if PROVE else (8, 4)
"""How many points of a course somebody is killed at, and how many ordered pairs; some seal always is among them."""
SEALS = ("ledger.seal.before", "ledger.seal.after")
COURSES: dict[str, list[tuple[list[str], str | None]]] = {
    "carry": [([TWO], None), ([THREE], None), ([ONE], "later")],
    "its own window again": [([ONE], "a"), ([TWO], None), ([THREE], None)],
    "the next window again": [([TWO], "a"), ([THREE], None), ([ONE], "later")],
}
"""The run that is killed, and those after it; before "the next window again" that has carried two rows."""
WHOLE = {
    "carry": {ONE: [10, 11], TWO: [12, 13, 20, 21], THREE: [30, 31]},
    "its own window again": {ONE: [10, 11, 12, 13], TWO: [20, 21], THREE: [30, 31]},
    "the next window again": {ONE: [10, 11], TWO: [12, 13, 14, 20, 21], THREE: [30, 31]},
}


def plays(folder: Path, course: str, kills: Iterable[list[str]]) -> Iterator[dict[str, Any]]:
    """What came of each play of a course."""
    asked = [
        json.dumps({"folder": str(folder), "kills": each, "runs": COURSES[course], "columns": ["id"]}) for each in kills
    ]
    command = [sys.executable, "-m", "tests.journey.killing"]
    ended = subprocess.run(command, input="\n".join(asked), text=True, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return map(json.loads, ended.stdout.splitlines())


@pytest.mark.parametrize("course", COURSES)
def test_killed_anywhere(duckdb: Source, course: str) -> None:
    """Killed at a point, or at two in turn: each row is in one window, whoever brings it to its end.

    OUTGATE_PROVE=1 kills at every point.
    """
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2), row(1, 3))
    if course == "the next window again":
        duckdb.deliver(TWO)
        late(duckdb, row(1, 4))
    folder = duckdb.trial.folder
    [passed] = plays(folder, course, [[]])
    points = passed["points"]
    chance = random.Random(1)
    singles = {*SEALS, *chance.sample(points, min(POINTS, len(points)))}
    pairs = chance.sample(list(product(points, repeat=2)), PAIRS)
    kills = [*([point] for point in sorted(singles)), *map(list, pairs)]
    found = list(plays(folder, course, kills))
    assert sum(each["struck"][0] for each in found) == len(found)
    wrong = [each for each in found if _ids(each["windows"]) != WHOLE[course] or set(each["states"]) != {"done"}]
    assert not wrong
    assert len(found) == len(kills)


def _ids(windows: dict[str, list[list[int]]]) -> dict[str, list[int]]:
    return {key: [number for (number,) in rows] for key, rows in windows.items()}


@contextmanager
def guarded(yes: bool) -> Iterator[None]:
    """With or without the look at what moved meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        if not yes:
            patch.setattr(carrying, "refuse_moved", lambda *_: None)
        yield


RIVALS: dict[str, Callable[[Source], Any]] = {
    "a later window": lambda source: source.deliver(THREE),
    "the window that they came late for": lambda source: source.deliver(ONE, again="a"),
}


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("rival", RIVALS)
def test_a_rival_that_seals_first(duckdb: Source, rival: str, guard: bool) -> None:
    """Whoever seals second is refused, and carries nothing the next time; the control delivers the row twice."""
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    with guarded(guard), once("carry.taken", lambda: RIVALS[rival](duckdb)):
        [outcome] = duckdb.trial.run(TWO)
    assert duckdb.trial.column().count(12) == (1 if guard else 2)
    if guard:
        assert (outcome.state, outcome.retriable) == ("failed", True)
        assert "another run delivered rows of '2024-01-01' meanwhile" in outcome.detail
        assert duckdb.deliver(TWO) == [[20, 21]]


@pytest.mark.parametrize("guard", [True, False])
def test_a_carrier_that_seals_before_the_window_itself(duckdb: Source, guard: bool) -> None:
    """A window that is run again when a rival has looked at it already: it leaves out what the rival carries."""
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    looked, read = threading.Event(), threading.Event()
    rival = threading.Thread(target=lambda: duckdb.trial.run(TWO))

    def meet(name: str) -> None:
        if threading.current_thread() is rival and name == "carry.taken":
            looked.set()
            assert read.wait(60)
        elif threading.current_thread() is threading.main_thread() and name == "ledger.seal.before":
            read.set()
            rival.join()

    failpoint.install(meet)
    try:
        rival.start()
        assert looked.wait(60)
        with guarded(guard):
            [outcome] = duckdb.trial.run(ONE, again="a")
    finally:
        failpoint.install(None)
    assert duckdb.trial.column().count(12) == (1 if guard else 2)
    if guard:
        assert outcome.retriable
        assert duckdb.deliver(ONE, again="a") == [[10, 11]]
        assert duckdb.trial.column("id", TWO) == [12, 20, 21]


def test_what_is_committed_after_the_look(duckdb: Source) -> None:
    """The reading's own snapshot decides: a row that comes between the look and the reading is carried too."""
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    with once("late.read", lambda: late(duckdb, row(1, 3))):
        assert duckdb.deliver(TWO) == [[12, 13, 20, 21]]
    assert duckdb.deliver(THREE) == [[30, 31]]
