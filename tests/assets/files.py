"""Rows of a test's own, written as the parts of one delivery: no source, no ledger and no store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from assets.parts import Part
from assets.plan import Plan
from assets.transform import Shaped, write
from tests.spec.texts import broken, declared

FORMAT = '{type: csv, delimiter: ";", compression: gzip, part_size: 200MB}'
VALUES: dict[str, object] = {"export": "loyalty_events", "partition": "2026-01-31"}


def planned(form: str) -> Plan:
    """A plan whose only delivery has that format; what is said of the source is not looked at."""
    right = declared(broken(FORMAT, form))
    return Plan(right, None, None, None)  # type: ignore[arg-type]


@contextmanager
def shaped(sql: str) -> Iterator[Shaped]:
    """The rows of a DuckDB query as a shaped window."""
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(sql)
        yield Shaped(connection, sql, dict(zip(found.columns, map(str, found.types), strict=True)))


def parts(sql: str, form: str, folder: Path) -> list[Part]:
    """The parts that a format, given as YAML, makes of a query's rows."""
    plan = planned(form)
    folder.mkdir(exist_ok=True)
    with shaped(sql) as rows:
        return write(rows, plan.export.deliver[0], folder / "parts", plan, VALUES)


def content(sql: str, form: str, folder: Path) -> bytes:
    """The bytes of the only part."""
    (part,) = parts(sql, form, folder)
    return part.path.read_bytes()
