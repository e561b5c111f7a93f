"""Late commits on MariaDB: the claim of test_late_commits.py under the same storm. What is one server's own is in
tests/resources/databases/test_mysql_activity.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from tests.journey import storm_mysql
from tests.journey.seconds import POLL_SECONDS, Seconds, follow, put
from tests.journey.test_late_commits import (
    CURSORS,
    LIMIT_SECONDS,
    SEED,
    Aftermath,
    test_nothing_is_lost_and_nothing_doubled,
)
from tests.journey.trial import Trial
from tests.resources.databases.subjects import PASSWORD_VARIABLE
from tests.servers.mariadb import OWNER, MariaDBServer

__all__ = ["test_nothing_is_lost_and_nothing_doubled"]

DATABASE = "test_storm"
NAIVE = {
    "updated_at > last": "SELECT id, updated_at FROM storm WHERE updated_at > %s ORDER BY updated_at",
    "id > last": "SELECT id, id FROM storm WHERE id > %s ORDER BY id",
}


def mariadb(server: MariaDBServer, database: str) -> dict[str, Any]:
    """The connector's declaration; the password comes from its variable."""
    place = {"host": server.host, "port": server.port, "database": database, "user": OWNER}
    return {"type": "mariadb", "password": {"env": PASSWORD_VARIABLE}, "ssl_ca": str(server.certificate)} | place


@pytest.fixture(scope="module")
def aftermath(mariadb_server: MariaDBServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """One storm of more than 200,000 rows, and four who read beside it: the journey by time and by id, the two rules."""
    start = datetime.now(UTC)
    grids = {"time": Seconds(start), "id": Seconds(start, timedelta(seconds=2))}
    with mariadb_server.database(DATABASE), pytest.MonkeyPatch.context() as patch:
        put(patch, grids)
        mariadb_server.execute(storm_mysql.TABLE, database=DATABASE)
        declared = mariadb(mariadb_server, DATABASE)
        trials = {name: Trial.of(tmp_path_factory.mktemp(name), declared) for name in CURSORS}
        for name, trial in trials.items():
            trial.declare({"table": "storm", "cursor": CURSORS[name]})
        yield watch(mariadb_server, trials, grids)


def watch(server: MariaDBServer, trials: dict[str, Trial], grids: dict[str, Seconds]) -> Aftermath:
    """Let the storm pass while all four read."""
    over = Event()
    firsts: tuple[datetime | int, ...] = (grids["time"].start.replace(tzinfo=None), 0)
    with ThreadPoolExecutor(4) as pool:
        followers = {name: pool.submit(follow, trial, grids[name], over) for name, trial in trials.items()}
        usual = {
            name: pool.submit(naive, server, query, first, over)
            for (name, query), first in zip(NAIVE.items(), firsts, strict=True)
        }
        try:
            command = [sys.executable, "-m", "tests.journey.storm_mysql", str(server.port), DATABASE, SEED]
            subprocess.run(command, check=True, timeout=LIMIT_SECONDS, capture_output=True)
        finally:
            over.set()
        words = {name: set(future.result()) for name, future in followers.items()}
        found = {name: Counter(future.result()) for name, future in usual.items()}
    found |= {name: Counter(trial.column()) for name, trial in trials.items()}
    committed = Counter(number for (number,) in server.execute("SELECT id FROM storm", database=DATABASE))
    return Aftermath(committed, found, words)


def naive(server: MariaDBServer, query: str, last: datetime | int, over: Event) -> list[int]:
    """Poll `cursor > last ORDER BY cursor` and remember the last cursor seen: the ids that this finds."""
    found: list[int] = []
    with server.connect(DATABASE) as session, session.cursor() as cursor:
        while True:
            final = over.is_set()
            cursor.execute(query, [last])
            rows = cursor.fetchall()
            found += [number for number, _ in rows]
            last = rows[-1][1] if rows else last
            if final:
                return found
            over.wait(POLL_SECONDS)
