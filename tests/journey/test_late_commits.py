"""Late commits: on a PostgreSQL under the storm the journey loses nothing and doubles nothing, where the usual rules
do.

What the receipt says when the gate cannot be had is in test_horizon.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event

import psycopg
import pytest

from tests.journey import storm
from tests.journey.seconds import NAIVE_ID, NAIVE_TIME, Seconds, follow, naive, put
from tests.journey.trial import Trial, postgres
from tests.servers.postgres import PostgresServer

SEED = "20260131"
LIMIT_SECONDS = 120
CURSORS = {
    "time": {"by": "time", "column": "updated_at", "key": "id", "stamped_by": "database"},
    "id": {"by": "id", "column": "id", "stamped_by": "database"},
}


@dataclass(frozen=True)
class Aftermath:
    """The ids that were committed, those that each reader has (by name), and the words of the product's receipts."""

    committed: Counter[int]
    found: dict[str, Counter[int]]
    words: dict[str, set[str]]


@pytest.fixture(scope="module")
def aftermath(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """One storm of more than 200,000 rows, and four who read beside it: the journey by time and by id, the two rules."""
    start = datetime.now(UTC)
    grids = {"time": Seconds(start), "id": Seconds(start, timedelta(seconds=2))}
    with postgres_server.database("storm") as url, pytest.MonkeyPatch.context() as patch:
        put(patch, grids)
        for statement in (storm.TABLE, storm.INDEX):
            postgres_server.execute(statement, "storm")
        trials = {name: Trial.of(tmp_path_factory.mktemp(name), postgres(url)) for name in CURSORS}
        for name, trial in trials.items():
            trial.declare({"table": "storm", "cursor": CURSORS[name]})
        yield watch(url, trials, grids)


def watch(url: str, trials: dict[str, Trial], grids: dict[str, Seconds]) -> Aftermath:
    """Let the storm pass while all four read."""
    over = Event()
    with ThreadPoolExecutor(4) as pool:
        followers = {name: pool.submit(follow, trial, grids[name], over) for name, trial in trials.items()}
        usual = {
            "updated_at > last": pool.submit(naive, url, NAIVE_TIME, grids["time"].start, over),
            "id > last": pool.submit(naive, url, NAIVE_ID, 0, over),
        }
        try:
            command = [sys.executable, "-m", "tests.journey.storm", url, SEED]
            subprocess.run(command, check=True, timeout=LIMIT_SECONDS, capture_output=True)
        finally:
            over.set()
        words = {name: set(future.result()) for name, future in followers.items()}
        found = {name: Counter(future.result()) for name, future in usual.items()}
    found |= {name: Counter(trial.column()) for name, trial in trials.items()}
    with psycopg.connect(url) as session:
        committed = Counter(number for (number,) in session.execute("SELECT id FROM storm"))
    return Aftermath(committed, found, words)


@pytest.mark.parametrize(("cursor", "rule"), [("time", "updated_at > last"), ("id", "id > last")])
def test_nothing_is_lost_and_nothing_doubled(aftermath: Aftermath, cursor: str, rule: str) -> None:
    """Every committed row is delivered exactly once, while the usual rule beside it on the same table loses rows."""
    lost, doubled = aftermath.committed - aftermath.found[cursor], aftermath.found[cursor] - aftermath.committed
    missed = aftermath.committed - aftermath.found[rule]
    assert aftermath.committed.total() >= 200_000
    assert (lost.total(), doubled.total()) == (0, 0)
    assert missed.total() > 0
    assert aftermath.words[cursor] == {"gate"}
