"""Make the sample database: `python -m demo.generate`. The tables are in tables.sql; here are arguments and the file.

The same seed, day and size give the same rows with one release of DuckDB, on any number of threads.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

HERE = Path(__file__).parent
TABLES = ("customers", "products", "receipts", "receipt_lines", "events")


def generate(path: Path, until: date, *, events: int = 500_000, seed: int = 7) -> dict[str, int]:
    """Write the DuckDB file `path` anew, as one rename at the end, and return the number of rows by table.

    No row is dated `until` 00:00 UTC or later. There are 25 events a customer, and 3 receipts to 10 events.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    try:
        with duckdb.connect(unfinished) as connection:
            rows = _fill(connection, {"seed": seed, "until": until, "events": events})
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _fill(connection: duckdb.DuckDBPyConnection, variables: dict[str, object]) -> dict[str, int]:
    connection.execute("SET TimeZone = 'UTC'; SET memory_limit = '700MB'; SET preserve_insertion_order = true")
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])
    connection.execute((HERE / "tables.sql").read_text(encoding="utf-8"))
    return {table: connection.table(table).shape[0] for table in TABLES}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, make the file and say what it holds."""
    parser = argparse.ArgumentParser(prog="python -m demo.generate", description="Make the sample database.")
    today = datetime.now(UTC).date()
    parser.add_argument("--path", type=Path, default=HERE / "loyalty.duckdb", help="the file to write (%(default)s)")
    parser.add_argument("--until", type=date.fromisoformat, default=today, help="no fact is later (%(default)s, UTC)")
    parser.add_argument("--events", type=int, default=500_000, help="rows of the largest table (%(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another programme (%(default)s)")
    chosen = parser.parse_args(arguments)
    begun = time.monotonic()
    rows = generate(chosen.path, chosen.until, events=chosen.events, seed=chosen.seed)
    print(", ".join(f"{count:,} {table}" for table, count in rows.items()))
    print(f"{chosen.path}: {chosen.path.stat().st_size / 1e6:.0f} MB in {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
