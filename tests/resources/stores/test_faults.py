"""A window goes to a partner over a bad line: whatever breaks, it ends, and every row is there once."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assets import load
from resources.stores.base import Store
from tests.resources.stores.shelves import SHELVES, Shelf
from tests.servers.faults import bad_line
from tests.small import EXPORT, Small, day

SEEDS = range(int(os.environ.get("OUTGATE_FAULTS", "6")))
"""How many bad lines each store sees; `make prove` asks for more."""
REMOTE = [name for name in SHELVES if name != "local"]
ROWS = 20_000
RUNS = 12
PARTS = EXPORT.replace("{export}_{partition}.csv", "{export}_{partition}_{part}.csv.gz").replace(
    "format: {type: csv}", "format: {type: csv, compression: gzip, part_rows: 4000}"
)


@pytest.fixture(scope="module", params=REMOTE)
def shelf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """One place of each remote store."""
    with SHELVES[request.param](request, tmp_path_factory.mktemp("place")) as made:
        yield made


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_arrives_once_over_a_bad_line(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A run may fail, none hangs, one comes through when the line is good again, and nothing is left behind."""
    monkeypatch.setattr(load, "FIRST_WAIT", 0.0)
    for name in shelf.names():
        shelf.take(name)
    data, port = declared(shelf.store())
    with bad_line(port, seed) as line:
        small = project(tmp_path, moved(data, port, line.port))
        told: list[str] = []
        while not told or told[-1] != "done":
            [outcome] = small.journey().run([day(0)])
            told.append(outcome.state if outcome.good else outcome.detail)
            assert len(told) < RUNS, (line.struck, told)
    assert rows(shelf) == list(range(ROWS)), (line.struck, told)
    assert shelf.hidden() == [], (line.struck, told)


def declared(store: Store) -> tuple[dict[str, Any], int]:
    """A store as connectors.yaml would have it, and the port of its server."""
    data = store.model_dump(mode="json", exclude_unset=True) | {"type": store.type}
    found = re.search(r'(?:127\.0\.0\.1|localhost):(\d+)|"port": (\d+)', json.dumps(data))
    assert found
    return data, int(found[1] or found[2])


def moved(data: dict[str, Any], port: int, other: int) -> dict[str, Any]:
    """The same store behind another port, and impatient."""
    text = json.dumps(data).replace(f":{port}", f":{other}").replace(f'"port": {port}', f'"port": {other}')
    other_place: dict[str, Any] = json.loads(text)
    return other_place | {"connect_timeout": 3, "idle_timeout": 3}


def project(folder: Path, store: dict[str, Any]) -> Small:
    """Rows of one day in several parts, on their way to that store."""
    small = Small.make(folder, PARTS, f"shop: {{type: duckdb, path: shop.duckdb}}\nfolder: {json.dumps(store)}\n")
    small.sql(
        "CREATE OR REPLACE TABLE sales AS SELECT i AS id, timestamptz '2026-01-01 00:00:00Z' + to_seconds(i) AS sold_at, "
        f"md5(i::VARCHAR) AS buyer_email, (i * 1.5)::DECIMAL(10,2) AS amount FROM range({ROWS}) r(i)"
    )
    small.home.create().close()
    return small


def rows(shelf: Shelf) -> list[int]:
    """The ids in every file that the partner sees, in order."""
    texts = [gzip.decompress(shelf.get(name)).decode() for name in shelf.names() if name.endswith(".gz")]
    return sorted(int(row["id"]) for text in texts for row in csv.DictReader(io.StringIO(text)))
