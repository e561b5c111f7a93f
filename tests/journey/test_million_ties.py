"""A million rows of one cursor value at a window's very end: in one stream, and in packs whose ends fall among them.

What packs ask for is tested in the assets room; here is only whether every row arrives once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from tests.journey.test_late_commits_mysql import mariadb
from tests.journey.trial import Trial, postgres

MILLION = 1_000_000
DAYS = ["2024-01-01", "2024-01-02"]
BEFORE, TIED, AFTER = "2024-01-01 23:59:59.999998", "2024-01-01 23:59:59.999999", "2024-01-02 00:00:00"
FEW = 10
MANY = "INSERT INTO ties SELECT n, '{stamp}' FROM {numbers} AS n"
NEIGHBOURS = "INSERT INTO ties SELECT id + {more}, '{stamp}' FROM ties WHERE id <= {few}"
EXPECTED = {DAYS[0]: (1, MILLION + FEW), DAYS[1]: (MILLION + FEW + 1, MILLION + 2 * FEW)}
"""The first and last id of each window; all between are there."""
PACK = 70_000

Run = Callable[[str], Any]


def fill(run: Run, numbers: str, kind: str) -> None:
    """A narrow table: a few rows, the million of the last microsecond of a day, and a few of the next day's first."""
    run(f"CREATE TABLE ties (id bigint, updated_at {kind} NOT NULL, PRIMARY KEY (updated_at, id))")
    run(MANY.format(stamp=TIED, numbers=numbers))
    run(NEIGHBOURS.format(more=MILLION, stamp=BEFORE, few=FEW))
    run(NEIGHBOURS.format(more=MILLION + FEW, stamp=AFTER, few=FEW))


@contextmanager
def on_postgres(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The table on PostgreSQL. Yields the connector."""
    with request.getfixturevalue("postgres_server").database("test_ties") as url:
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("SET timezone = 'UTC'")
            fill(session.execute, f"generate_series({MILLION}, 1, -1)", "timestamptz")  # not the order of the packs
            session.execute("VACUUM ANALYZE ties")
        yield postgres(url)


@contextmanager
def on_mariadb(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The table on MariaDB. Yields the connector."""
    server = request.getfixturevalue("mariadb_server")
    with server.database("test_ties") as name:
        with server.connect(name) as session:
            fill(session.query, f"(SELECT seq AS n FROM seq_1_to_{MILLION})", "timestamp(6)")
        yield mariadb(server, name)


SERVERS = {"postgres": on_postgres, "mariadb": on_mariadb}


@pytest.fixture(scope="module", params=SERVERS)
def connector(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The connector of a server with the table."""
    with SERVERS[request.param](request) as declared:
        yield declared


@pytest.mark.parametrize("how", [{}, {"batch_rows": PACK}], ids=["stream", "packs"])
def test_each_row_once(tmp_path: Path, connector: dict[str, Any], how: dict[str, Any]) -> None:
    """Both windows, read together, have each of their rows once; the group is whole in the window that it belongs to."""
    trial = Trial.of(tmp_path, connector)
    trial.declare({"table": "ties", "cursor": {"by": "time", "column": "updated_at", "key": "id"}} | how)
    assert [each.detail for each in trial.run(*DAYS) if not each.good] == []
    assert {key: found(trial.files("parquet", key)) for key in DAYS} == {
        key: (low, high, high - low + 1, high - low + 1) for key, (low, high) in EXPECTED.items()
    }


def found(paths: list[Path]) -> tuple[int, ...]:
    """Lowest and highest id, rows, and different ids in the files of a window."""
    query = "SELECT min(id), max(id), count(*), count(DISTINCT id) FROM read_parquet($1)"
    [row] = duckdb.execute(query, [[str(path) for path in paths]]).fetchall()
    return tuple(row)
