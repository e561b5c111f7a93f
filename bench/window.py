"""One day of 50,000 rows out of five million, by the index on its cursor: what a nightly increment costs.

The journey is from the window to the receipt; `outgate run`, Sling and dlt are whole commands, with their start.
`--rows 50000`, `--days 100`, `--rounds 5`, `--without dlt sling`.
"""

from __future__ import annotations

import argparse

from bench import peers
from bench.contest import LIMIT, Contender, contest, copy, outgate
from bench.project import postgres, scratch
from bench.rows import into_postgres, key
from tests.servers.postgres import running_postgres


def main() -> int:
    """Measure and print; nothing here can fail but a contender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without", nargs="*", default=[], choices=["dlt", "sling"])
    chosen = parser.parse_args()
    with scratch("window") as folder, running_postgres(folder / "server") as server, server.database("bench") as url:
        into_postgres(server, "bench", [chosen.rows] * chosen.days, index="btree")
        contest(folder, _contenders(url, chosen.days // 2, {*chosen.without}), chosen.rounds)
    return 0


def _contenders(url: str, day: int, without: set[str]) -> dict[str, Contender]:
    low, high = (f"{key(number)} 00:00:00Z" for number in (day, day + 1))
    made = {LIMIT: copy(url, "| pigz -1 -p 2 > rows.csv.gz", f"updated_at >= '{low}' AND updated_at < '{high}'")}
    for name, how in (("journey, window to receipt", "receipt"), ("outgate run", "command")):
        for form in ("csv.gz", "parquet"):
            made[f"{name}, {form}"] = outgate(postgres(url), form, key(day), how)
    return made | peers.contenders(url, without, low, high)
