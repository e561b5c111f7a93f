"""The hostile workload of storm.py on MariaDB: the same transactions in its words.

Run as a program (`python -m tests.journey.storm_mysql PORT DATABASE SEED`). Stamps are of the statement here, not of
the transaction, and an id is taken by an INSERT that is undone where PostgreSQL has nextval().
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from tests.journey import storm
from tests.servers.mariadb import MariaDBServer

TABLE = """
CREATE TABLE storm (
  id bigint AUTO_INCREMENT PRIMARY KEY,
  updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6),
  note text,
  INDEX (updated_at)
)
"""
WORDS = {
    storm.INSERT: ("INSERT INTO storm (note) SELECT CONCAT('n', seq) FROM seq_1_to_200 WHERE seq <= %s",),
    # A savepoint that is older than the transaction's first touch of a table would end it when it is gone back to.
    storm.RESERVE: (
        "SELECT id FROM storm LIMIT 1",
        "SAVEPOINT taken",
        "INSERT INTO storm (note) VALUES ('taken')",
        "ROLLBACK TO taken",
        "SELECT LAST_INSERT_ID()",
    ),
    storm.INSERT_RESERVED: ("INSERT INTO storm (id, note) VALUES (%s, 'reserved')",),
    storm.PAUSE: ("DO SLEEP(%s)",),
}


class Session:
    """A session that understands what storm.py says to PostgreSQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._depth = 0

    def execute(self, statement: bytes, parameters: Sequence[Any] = ()) -> Cursor:
        """The same in MariaDB's words; the cursor of the last of them."""
        cursor = self._connection.cursor()
        for each in WORDS[statement]:
            cursor.execute(each, parameters if "%s" in each else None)
        return cursor

    @contextmanager
    def transaction(self, *, force_rollback: bool = False) -> Iterator[None]:
        """A transaction, or a savepoint in one."""
        name, self._depth = f"deep{self._depth}", self._depth + 1
        inner = self._depth > 1
        self._connection.query(f"SAVEPOINT {name}" if inner else "BEGIN")
        yield
        back = f"ROLLBACK TO {name}" if inner else "ROLLBACK"
        on = f"RELEASE SAVEPOINT {name}" if inner else "COMMIT"
        self._connection.query(back if force_rollback else on)
        self._depth -= 1


def write(server: MariaDBServer, database: str, seed: int) -> int:
    """One writer: transactions until it has committed its rows. Returns how many those are."""
    chance, committed = random.Random(seed), 0
    with server.connect(database) as connection:
        session = cast("storm.Session", Session(connection))
        while committed < storm.ROWS_EACH:
            committed += storm.transaction(session, chance)
    return committed


def main(port: int, database: str, seed: int) -> None:
    """All writers at once."""
    server = MariaDBServer(port, Path())
    with ThreadPoolExecutor(storm.WRITERS) as pool:
        seeds = range(seed, seed + storm.WRITERS)
        print(sum(pool.map(lambda each: write(server, database, each), seeds)))  # noqa: T201  (a program's answer)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
