"""Rows from PostgreSQL to files, against the limit (psql's COPY through pigz -1 on two cores), dlt and Sling.

Contenders run interleaved, each in a process of its own, and each must have delivered COPY's rows. Ratios are to the
limit of the same round. `--million 1`, `--rounds 3`, `--without dlt sling`. pigz comes from apt.
"""

from __future__ import annotations

import argparse
import statistics

from bench import peers
from bench.contest import LIMIT, Contender, contest, copy, outgate
from bench.project import postgres, scratch
from bench.rows import into_postgres, key
from tests.servers.postgres import running_postgres

FORMATS = ("csv.gz", "ndjson.gz", "parquet")


def main() -> int:
    """Measure and print; nothing here can fail but a contender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], choices=["dlt", "sling"])
    chosen = parser.parse_args()
    rows = int(chosen.million * 1_000_000)
    with scratch("speed") as folder, running_postgres(folder / "server") as server, server.database("bench") as url:
        into_postgres(server, "bench", [rows])
        found = contest(folder, _contenders(url, {*chosen.without}), chosen.rounds)
    rate = rows / statistics.median([each.wall for each in found["journey, csv.gz"]])
    print(f"{rows:,} rows, journey to csv.gz: {rate:,.0f} rows a second")
    return 0


def _contenders(url: str, without: set[str]) -> dict[str, Contender]:
    source = postgres(url)
    made = {
        LIMIT: copy(url, "| pigz -1 -p 2 > rows.csv.gz"),
        "psql COPY > /dev/null": copy(url, "> /dev/null"),
        "extract, parquet": outgate(source, "parquet", key(0), "reading"),
        **{f"journey, {form}": outgate(source, form, key(0), "journey") for form in FORMATS},
        "outgate run, csv.gz": outgate(source, "csv.gz", key(0), "command"),
    }
    return made | peers.contenders(url, without)
