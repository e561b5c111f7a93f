"""The command line with a clock on it: `python -m bench.traced REPORT.json COMMAND ...` runs `outgate COMMAND ...`.

The product's functions are wrapped from outside; what each purse means is this table.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from bench.clock import Clock

START, DAGSTER, LEDGER, SOURCE = "start-up and the end", "dagster", "ledger", "source: "
LEDGER_METHODS = (
    "acquire", "check", "close", "fail", "last_fingerprint", "now", "older_generations", "published", "record_grid",
    "release", "seal", "states", "uploaded", "window", "written",
)  # fmt: skip


def wrap(clock: Clock) -> None:
    """Put the clock on everything that a backfill does."""
    import assets.graph
    import assets.journey
    import assets.load
    import assets.readings
    import assets.seal
    import pipelines.runs
    from resources.databases.duckdb import DuckDB, DuckDBSnapshot
    from resources.databases.postgres import Postgres, PostgresSnapshot
    from resources.ledger import Ledger

    for kind in (DuckDBSnapshot, PostgresSnapshot):
        clock.generator(kind, "read", "source: rows")
        clock.function(kind, "count", "source: catalogue, horizon, NULLs")
    for database in (DuckDB, Postgres):
        for name in ("columns", "activity"):
            clock.function(database, name, "source: catalogue, horizon, NULLs")
        clock.context(database, "snapshot", "source: opening")
    for name in LEDGER_METHODS:
        clock.function(Ledger, name, LEDGER)
    clock.function(os, "fsync", "fsync of files")
    clock.function(pipelines.runs, "launch", DAGSTER)
    clock.function(assets.graph, "_log", "dagster: events of a window")
    clock.function(assets.readings, "read", "source: writing what was read into the spool")
    clock.context(assets.readings, "engine", "transform: DuckDB's start and end")
    clock.function(assets.journey, "shape", "transform: shape")
    clock.function(assets.seal, "write", "transform: parts written")
    clock.function(assets.journey, "masked_preview", "transform: preview")
    clock.function(assets.journey, "seal", "seal: names, manifest, folders")
    clock.function(assets.load.Loading, "run", "load: stage, publish, read back")
    clock.function(assets.journey.Journey, "_drive", "journey, all else")


def main() -> None:
    """Run the command and write the report, however it ends."""
    report, *arguments = sys.argv[1:]
    clock = Clock(START)
    wrap(clock)
    from pipelines.cli import main as outgate

    sys.argv = ["outgate", *arguments]
    try:
        outgate()
    finally:
        Path(report).write_text(json.dumps(clock.report()), encoding="utf-8")


if __name__ == "__main__":
    main()
