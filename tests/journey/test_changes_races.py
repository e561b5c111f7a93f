"""Who comes in between while changes are compared: kill -9 at every point, and rivals with the changes of other days.

What a run delivers when nobody comes in between is in test_changes.py.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest

from resources.ledger import changing
from tests.journey.days import after
from tests.journey.sources import Source, once
from tests.journey.test_changes import ONE, ROWS, THREE, TWO, changed, deliver, duckdb, rows, run

__all__ = ["duckdb"]

PROVE = os.environ.get("OUTGATE_PROVE") == "1"
POINTS, PAIRS = (100, 200) if PROVE else (10, 5)
"""How many points of a course somebody is killed at, and how many ordered pairs."""
ALWAYS = ("changes.compared", "changes.kept", "ledger.seal.before", "ledger.seal.after")
COURSES: dict[str, list[tuple[list[str], str | None]]] = {
    "the next day": [([TWO], None), ([THREE], None)],
    "the day again": [([TWO], "a"), ([THREE], None)],
}
"""The run that is killed, and the one after it; before "the day again" that was delivered once."""
WHOLE = {
    ONE: [["added", row[0]] for row in ROWS],
    TWO: [["added", 4], ["changed", 2], ["removed", 1]],
    THREE: [],
}


@pytest.mark.parametrize("course", COURSES)
def test_killed_anywhere(duckdb: Source, course: str) -> None:
    """Killed at a point, or at two in turn: each change is delivered once, and the base is that of the last delivery.

    OUTGATE_PROVE=1 kills at every point.
    """
    deliver(duckdb, ONE)
    if course == "the day again":
        deliver(duckdb, TWO)
    changed(duckdb, "UPDATE events SET name = 'bob' WHERE id = 2")
    changed(duckdb, "DELETE FROM events WHERE id = 1")
    changed(duckdb, "INSERT INTO events VALUES (4, 'dan', 0.1)")
    [passed] = plays(duckdb, course, [[]])
    chance, points = random.Random(2), passed["points"]
    singles = {*ALWAYS, *chance.sample(points, min(POINTS, len(points)))}
    kills = [*([point] for point in sorted(singles)), *map(list, chance.sample([*product(points, repeat=2)], PAIRS))]
    found = list(plays(duckdb, course, kills))
    assert sum(each["struck"][0] for each in found) == len(found) == len(kills)
    assert not [each for each in found if each["windows"] != WHOLE or set(each["states"]) != {"done"}]


def plays(source: Source, course: str, kills: list[list[str]]) -> Iterator[dict[str, Any]]:
    """What came of each play of a course."""
    fixed = {"folder": str(source.trial.folder), "runs": COURSES[course], "columns": ["operation", "id"]}
    asked = [json.dumps(fixed | {"kills": each}) for each in kills]
    command = [sys.executable, "-m", "tests.journey.killing"]
    ended = subprocess.run(command, input="\n".join(asked), text=True, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return map(json.loads, ended.stdout.splitlines())


@contextmanager
def guarded(yes: bool) -> Iterator[None]:
    """With or without the look at what was sealed meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        if not yes:
            patch.setattr(changing, "refuse_disorder", lambda *_, **__: None)
        yield


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("rival", [TWO, THREE])
def test_a_rival_that_seals_first(duckdb: Source, rival: str, guard: bool) -> None:
    """Two days compared with the same base: whoever seals second is refused. The control delivers a change twice."""
    deliver(duckdb, ONE)
    changed(duckdb, "DELETE FROM events WHERE id = 1")
    mine = THREE if rival == TWO else TWO
    with guarded(guard), once("changes.compared", lambda: run(duckdb, rival)):
        [outcome] = run(duckdb, mine)
    delivered = [key for key in (TWO, THREE) if duckdb.trial.files("parquet", key) and rows(duckdb, key)]
    assert delivered == ([rival] if guard else [TWO, THREE])
    if guard:
        assert (outcome.state, outcome.retriable) == ("failed", True)
        assert "another run sealed changes meanwhile" in outcome.detail
    if guard and mine == THREE:
        assert deliver(duckdb, THREE) == []
    if guard and mine == TWO:
        with after(TWO):
            [refused] = duckdb.trial.run(TWO)
        assert f"the changes of {THREE!r} were delivered since" in refused.detail
