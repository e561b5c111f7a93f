"""Peak memory of the worker process at 1, 5 and 20 million rows a window: it must stay under 600 MB, and flat.

The worker is `outgate run`, Dagster included: one reading, delivered as csv.gz and as parquet. `--million 1 5 20`,
`--sources postgres duckdb`, `--separately` for a run a format.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.measure import Measured, table
from bench.project import EXPORT, Bench, postgres, scratch
from bench.rows import into_duckdb, into_postgres, key
from tests.servers.postgres import running_postgres

LIMIT = 600_000_000
FORMATS = ("csv.gz", "parquet")
Row = tuple[str, str, float, Measured, int]


@contextmanager
def _postgres(folder: Path, counts: Sequence[int]) -> Iterator[dict[str, Any]]:
    with running_postgres(folder / "server") as server, server.database("bench") as url:
        into_postgres(server, "bench", counts)
        yield postgres(url)


@contextmanager
def _duckdb(folder: Path, counts: Sequence[int]) -> Iterator[dict[str, Any]]:
    into_duckdb(folder / "rows.duckdb", counts)
    yield {"type": "duckdb", "path": str(folder / "rows.duckdb")}


SOURCES = {"postgres": _postgres, "duckdb": _duckdb}


def main() -> int:
    """Measure, print the table, end with 1 where a run was over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", type=float, nargs="+", default=[1, 5, 20])
    parser.add_argument("--sources", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    parser.add_argument("--separately", action="store_true")
    chosen = parser.parse_args()
    formats = [(each,) for each in FORMATS] if chosen.separately else [FORMATS]
    rows = [row for source in chosen.sources for row in _measure(source, chosen.million, formats)]
    return _report(rows)


def _measure(source: str, millions: Sequence[float], formats: Sequence[tuple[str, ...]]) -> Iterator[Row]:
    counts = [int(each * 1_000_000) for each in millions]
    with scratch("memory") as folder, SOURCES[source](folder, counts) as connector:
        for number, million in enumerate(millions):
            for names in formats:
                bench = Bench.of(folder / "project", connector, names)
                got = bench.command("run", EXPORT, "--partition", key(number))
                size = sum(path.stat().st_size for path in bench.delivered())
                yield source, " + ".join(names), million, got, size
                print(f"  {source}, {million:g} M rows: {got.peak / 1e6:.0f} MB, {got.wall:.0f} s", flush=True)


def _report(rows: Sequence[Row]) -> int:
    head = ("source", "delivered as", "M rows", "peak MB", "wall s", "CPU s", "CPU us a row", "delivered MB")
    table(head, [
        (source, form, f"{million:g}", f"{got.peak / 1e6:.0f}", f"{got.wall:.0f}", f"{got.cpu:.0f}",
         f"{got.cpu / million:.1f}", f"{size / 1e6:.0f}")
        for source, form, million, got, size in rows
    ])  # fmt: skip
    highest = max(got.peak for *_, got, _ in rows)
    verdict = "PASS" if highest < LIMIT else "FAIL"
    print(f"{verdict}: the highest peak is {highest / 1e6:.0f} MB, the limit {LIMIT / 1e6:.0f} MB")
    return int(verdict == "FAIL")
