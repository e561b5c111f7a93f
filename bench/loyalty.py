"""The demo's export of events as a bench project, and its delivered rows compared with the source. Nothing is timed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import yaml

from bench.project import EXPORT, REPOSITORY, Bench

FROM, UNTIL = date(2024, 1, 2), date(2026, 1, 1)
ARGUMENTS = ("backfill", EXPORT, "--from", "2024-01-02", "--to", "2025-12-31")
DAYS = (UNTIL - FROM).days
COMPARED = "id BIGINT, local_id BIGINT, points DECIMAL(12,2), note VARCHAR, updated_at TIMESTAMPTZ"


def declared(folder: Path, source: Path, **partitioned: Any) -> Bench:
    """The demo's own declaration, but by days of UTC: so every row of the sample has a window."""
    demo: dict[str, Any] = yaml.safe_load((REPOSITORY / "pipelines/loyalty_events.yaml").read_text(encoding="utf-8"))
    partitions = {"every": "day", "start": FROM.isoformat(), **partitioned}
    read = demo["source"] | {"connector": "source"}
    connector = {"type": "duckdb", "path": str(source)}
    return Bench.of(folder, connector, ("csv.gz",), source=read, fields=demo["fields"], partitions=partitions)


def losses(source: Path, files: Sequence[Path]) -> tuple[int, int, int]:
    """Rows lost, rows doubled (or foreign), rows delivered: multisets of five columns, every row of the source."""
    names = [column.split()[0] for column in COMPARED.split(", ")]
    kinds = dict(column.split() for column in COMPARED.split(", "))
    cells = ", ".join(f"CAST({name} AS {kinds[name]})" for name in names)
    with duckdb.connect(source, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"CREATE TEMP TABLE there AS SELECT {cells} FROM read_csv(?, all_varchar = true, header = true, "
            "quote = '\"', escape = '\"', allow_quoted_nulls = false)",
            [[str(file) for file in files]],
        )
        connection.execute(
            "CREATE TEMP TABLE here AS SELECT id, customer_id, points, note, updated_at FROM events "
            "WHERE tenant = 'acme' AND updated_at >= ? AND updated_at < ?", [f"{FROM}T00:00Z", f"{UNTIL}T00:00Z"]
        )  # fmt: skip
        lost, doubled = (
            _count(connection, f"(FROM {one} EXCEPT ALL FROM {other})")
            for one, other in (("here", "there"), ("there", "here"))
        )
        return lost, doubled, _count(connection, "there")


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    return int(connection.sql(f"SELECT count(*) FROM {relation}").fetchall()[0][0])
